import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { temporaryFolder } from './support/stores.ts';

const publisher = fileURLToPath(new URL('support/publisher.mjs', import.meta.url));

/** Lets a process publish, kills it without a warning once it has said `lines` lines, and gives the last it said. */
async function publishAndKill(path: string, lines: number): Promise<number> {
  const child = spawn(process.execPath, [publisher, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > lines) child.kill('SIGKILL');
  });
  const [code, signal] = await once(child, 'close');
  expect([code, signal]).toEqual([null, 'SIGKILL']);
  // The last line may have been cut short.
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

test('a process that is killed while it publishes loses nothing that was published, and leaves no gap', async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, 'orders.db');
  let epoch: string | undefined;
  for (const lines of [5, 40, 200]) {
    const published = await publishAndKill(path, lines);
    const db = new Database(path);
    const store = new SqliteTopicStore(db, { name: 'orders' });
    const extent = store.extent();
    epoch ??= extent.epoch;
    expect(extent.epoch).toBe(epoch);
    expect(extent.head).toBeGreaterThanOrEqual(published);
    const events = store.read(0, 1_000_000);
    expect(events.map(({ position, event }) => [position.offset, event])).toEqual(
      Array.from({ length: extent.head }, (_, i) => [i + 1, { n: i + 1 }]),
    );
    // Batches and outboxes are whole.
    expect(extent.head % 3).not.toBe(1);
    const { count } = db.prepare('SELECT count(*) AS count FROM orders').get() as { count: number }; // its one column
    expect(count).toBe(Math.floor(extent.head / 3));
    db.close();
  }
  folder.remove();
}, 60_000);
