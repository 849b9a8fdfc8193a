import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCache } from '../../cache/createCache.ts';
import { CacheEventSchema } from '../../cache/messages.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic } from '../../watch/topic.ts';
import { quietClock } from '../watch/support/clock.ts';
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

test('a rollback gives the position to whoever publishes next: what is there then confirms only its own key', async () => {
  await using shop = await withDatabase();
  const { chain, db } = shop;
  const publishAndRollBack = async (next: string) => {
    db.exec('BEGIN');
    const outcome = Promise.allSettled([chain.owner.invalidate('a'), chain.leaf.invalidate('a', { timeoutMs: 1_000 })]);
    await chain.settled();
    db.exec('ROLLBACK');
    const position = await chain.owner.invalidate(next);
    await chain.advance(1_000);
    return { position, outcome: await outcome };
  };
  // Both were told an offset that is another's now: 1, and 2, at which there is nothing yet.
  const { position, outcome } = await publishAndRollBack('b');
  const unconfirmed = { status: 'rejected', reason: { code: 'CACHE_UNCONFIRMED' } };
  expect([position.offset, outcome]).toMatchObject([1, [unconfirmed, unconfirmed]]);
  expect(outcome).toMatchObject([{ reason: { cause: { code: 'TRANSACTION' } } }, {}]);
  // Another invalidation of the same key is as good as the first.
  const again = await publishAndRollBack('a');
  expect([again.position.offset, again.outcome[0]]).toMatchObject([2, { status: 'fulfilled', value: { offset: 2 } }]);
});

test('what the owner has loaded inside a transaction is gone after its rollback', async () => {
  const clock = quietClock();
  const db = new Database(':memory:');
  db.exec('CREATE TABLE docs (n INTEGER); INSERT INTO docs VALUES (0)');
  const topic = createTopic({ event: CacheEventSchema, store: new SqliteTopicStore(db, { name: 'docs' }), clock });
  const read = db.prepare('SELECT n FROM docs');
  // The cast: the column that the statement names. By the same handle, which sees what is not committed.
  const owner = createCache({ load: () => (read.get() as { n: number }).n, topic, clock });
  expect(await owner.get('a')).toBe(0);
  db.exec('BEGIN; UPDATE docs SET n = 1');
  const unconfirmed = expect(owner.invalidate('a', { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: 'CACHE_UNCONFIRMED',
  });
  expect(await owner.get('a')).toBe(1);
  db.exec('ROLLBACK');
  await clock.advance(1_000);
  await unconfirmed;
  expect(await owner.get('a')).toBe(0);
  owner.close();
  topic.close();
  db.close();
});

test('an owner that is closed inside the transaction confirms nothing, and waits for nothing', async () => {
  await using shop = await withDatabase();
  const { chain, db } = shop;
  db.exec('BEGIN');
  const position = { offset: 1 };
  const ends = [
    expect(chain.owner.invalidate('a', { timeoutMs: Number.POSITIVE_INFINITY })).rejects.toMatchObject({
      code: 'CACHE_UNCONFIRMED',
      position,
      cause: { code: 'CACHE_CLOSED' },
    }),
    expect(chain.leaf.invalidate('b')).rejects.toMatchObject({ code: 'CACHE_UNCONFIRMED' }),
  ];
  await chain.settled();
  chain.owner.close(); // not the topic, which is the user's
  await Promise.all(ends);
  db.exec('ROLLBACK');
  await chain.advance(10); // the topic looks how the transaction has ended
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
