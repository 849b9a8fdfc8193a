// A hop with a lasting store that reads for ever, until it is killed. It says what it was when it began to be live, then a
// line after every round. Run by crash.test.ts: the socket of the owner, then the database.
import { writeSync } from 'node:fs';
import Database from 'libsql';
import { relayCache } from '../../../dist/cache/index.js';
import { createClient } from '../../../dist/index.js';
import { UnixDomainSocketClientTransport } from '../../../dist/transport/impls/unix/client.js';

const [, , socket, file] = process.argv;
const db = new Database(file);
db.exec('PRAGMA journal_mode = WAL');
db.exec('CREATE TABLE IF NOT EXISTS held (key TEXT PRIMARY KEY, n INTEGER NOT NULL)');
db.exec('CREATE TABLE IF NOT EXISTS heard (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, at INTEGER NOT NULL)');
const select = db.prepare('SELECT n FROM held WHERE key = ?');
const insert = db.prepare('INSERT INTO held VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = excluded.n');
const remove = db.prepare('DELETE FROM held WHERE key = ?');
const removeAll = db.prepare('DELETE FROM held');
const selectHeard = db.prepare('SELECT epoch, at FROM heard WHERE id = 1');
const heard = db.prepare(
  'INSERT INTO heard VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, at = excluded.at',
);
const store = {
  get(key) {
    const row = select.get(key);
    return row ? { n: row.n } : undefined;
  },
  set: (key, { n }) => insert.run(key, n),
  delete: (key) => remove.run(key),
  clear: () => removeAll.run(),
  position: {
    load() {
      const row = selectHeard.get();
      return row ? { epoch: row.epoch, offset: row.at } : undefined;
    },
    save: ({ epoch, offset }) => heard.run(epoch, offset),
  },
};

const cache = relayCache(createClient(new UnixDomainSocketClientTransport(socket)).docs, { store });
for (let hasSaid = false; ; ) {
  for (let key = 0; key < 20; key++) await cache.get(`key ${key}`);
  if (!hasSaid && cache.state === 'live') {
    writeSync(1, `live clears=${cache.stats.clears}\n`);
    hasSaid = true;
  }
  writeSync(1, '.\n');
  await new Promise((resolve) => setImmediate(resolve));
}
