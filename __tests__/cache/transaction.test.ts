import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CacheEventSchema } from '../../cache/messages.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic } from '../../watch/topic.ts';
import { temporaryFolder } from '../watch/support/stores.ts';
import { Chain, type Doc } from './support/chain.ts';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

/** An owner whose documents and topic lie in one database; loads read by another handle, so what is committed. */
async function withDatabase() {
  const path = join(folder.path, 'docs.db');
  const [db, reader] = [new Database(path), new Database(path)];
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE docs (key TEXT PRIMARY KEY, n INTEGER NOT NULL)');
  const write = db.prepare('INSERT INTO docs VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = excluded.n');
  const read = reader.prepare('SELECT n FROM docs WHERE key = ?');
  const chain = await Chain.create();
  const topic = createTopic({
    event: CacheEventSchema,
    store: new SqliteTopicStore(db, { name: 'docs' }),
    clock: chain.clock,
  });
  // The cast: the column that the statement names.
  const load = (key: string): Doc => ({ n: (read.get(key) as { n: number } | undefined)?.n ?? 0 });
  await chain.restart(0, { topic, load });
  await chain.advance(10_000);
  return {
    chain,
    db,
    write: (key: string, n: number) => write.run(key, n),
    async [Symbol.asyncDispose]() {
      await chain[Symbol.asyncDispose]();
      topic.close();
      db.close();
      reader.close();
    },
  };
}

test('published in a transaction: confirmed at its commit, and served from nowhere after it', async () => {
  await using shop = await withDatabase();
  const { chain, db, write } = shop;
  await chain.leaf.get('a');
  db.exec('BEGIN');
  write('a', 1);
  let isConfirmed = false;
  const confirmed = chain.owner.invalidate('a').then(() => {
    isConfirmed = true;
  });
  await chain.settled();
  // Nothing is committed: this is what there is, and it is held again.
  expect([await chain.owner.get('a'), await chain.leaf.get('a'), isConfirmed]).toEqual([{ n: 0 }, { n: 0 }, false]);
  db.exec('COMMIT');
  // Nobody has been told yet, not even the owner; whoever asks it gets the truth nevertheless.
  expect([await chain.owner.get('a'), isConfirmed]).toEqual([{ n: 1 }, false]);
  await chain.advance(10);
  await confirmed;
  await chain.settled();
  for (const { cache } of [...chain.nodes].reverse()) expect(await cache.get('a')).toEqual({ n: 1 });
});

test('published in a transaction that is rolled back: unconfirmed', async () => {
  await using shop = await withDatabase();
  const { chain, db, write } = shop;
  db.exec('BEGIN');
  write('a', 1);
  const unconfirmed = expect(chain.owner.invalidate('a', { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: 'CACHE_UNCONFIRMED',
    position: { offset: 1 },
  });
  await chain.settled();
  db.exec('ROLLBACK');
  await chain.advance(1_000);
  await unconfirmed;
  expect([await chain.leaf.get('a'), chain.owner.position?.offset]).toEqual([{ n: 0 }, 0]);
});

test('a topic that cannot be written to confirms nothing, and the owner has dropped its own copy', async () => {
  await using shop = await withDatabase();
  const { chain, db, write } = shop;
  await chain.owner.get('a');
  write('a', 1);
  db.exec('PRAGMA query_only = 1');
  await expect(chain.owner.invalidate('a')).rejects.toMatchObject({ code: 'CACHE_UNCONFIRMED', position: undefined });
  await expect(chain.leaf.invalidate('a')).rejects.toMatchObject({ code: 'CACHE_UNCONFIRMED' });
  expect(await chain.owner.get('a')).toEqual({ n: 1 });
  db.exec('PRAGMA query_only = 0');
  await chain.leaf.invalidate('a');
  expect(await chain.leaf.get('a')).toEqual({ n: 1 });
});
