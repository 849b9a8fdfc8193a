import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { createCache } from '../../cache/createCache.ts';
import { createServer } from '../../router/server.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../transport/impls/unix/server.ts';
import { temporaryFolder } from '../watch/support/stores.ts';
import { type Doc, docServices } from './support/chain.ts';

const hop = fileURLToPath(new URL('support/hop.mjs', import.meta.url));
const KEYS = Array.from({ length: 20 }, (_, index) => `key ${index}`);

test('a hop that is killed while it works leaves nothing in its store that is older than the position beside it', async () => {
  const folder = temporaryFolder();
  const [socket, file] = [join(folder.path, 'owner.sock'), join(folder.path, 'held.db')];
  const truth = new Map<string, number>();
  /** What was written before the event of each offset. */
  const history: { key: string; n: number }[] = [];
  const owner = createCache<Doc>({ load: (key) => ({ n: truth.get(key) ?? 0 }) });
  const net = createNetServer();
  await listenOnUnixSocket(net, socket);
  const transport = new UnixDomainSocketServerTransport(net);
  const server = createServer(transport, docServices(owner));

  const heldNow = () => {
    const db = new Database(file);
    // The casts: the columns that the statements name.
    const rows = db.prepare('SELECT key, n FROM held').all() as { key: string; n: number }[];
    const { at } = db.prepare('SELECT at FROM heard').get() as { at: number };
    db.close();
    return { rows, at };
  };

  const invalidateNext = () => {
    const n = history.length + 1;
    const key = KEYS[(n * 7) % KEYS.length] ?? '';
    truth.set(key, n);
    history.push({ key, n });
    void owner.invalidate(key);
  };

  const beginnings: string[] = [];
  let heardUpTo = 0;
  for (const lines of [100, 300, 900]) {
    const child = spawn(process.execPath, [hop, socket, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      said += text;
      // Some change while it reads: as many as it keeps up with.
      for (let change = 0; change < 3; change++) invalidateNext();
      if (said.split('\n').length > lines && said.includes('live')) child.kill('SIGKILL');
    });
    const [, signal]: unknown[] = await once(child, 'close');
    expect(signal).toBe('SIGKILL');
    beginnings.push(said.split('\n').find((line) => line.startsWith('live')) ?? '');

    const { rows, at } = heldNow();
    expect(rows.length).toBeGreaterThan(0);
    heardUpTo = at;
    const dropped = new Map(history.slice(0, at).map(({ key, n }) => [key, n]));
    for (const { key, n } of rows) expect(n, `${key}, heard up to ${at}`).toBeGreaterThanOrEqual(dropped.get(key) ?? 0);
  }
  expect(heardUpTo).toBeGreaterThan(50); // it has heard of something
  // The first began with nothing, the others went on from where they were killed.
  expect(beginnings).toEqual(['live clears=1', 'live clears=0', 'live clears=0']);
  await server.close();
  transport.close();
  net.close();
  owner.close();
  folder.remove();
}, 60_000);
