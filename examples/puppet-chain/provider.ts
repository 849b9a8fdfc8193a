import { readFile } from 'node:fs/promises';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'holdfast';
import { CacheEventSchema, createCache } from 'holdfast/cache';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import { createTopic, SqliteTopicStore } from 'holdfast/watch';
import Database from 'libsql';
import { reporter } from '../stage/report.ts';
import type { HopReport } from './reports.ts';
import { type Puppet, serve } from './services.ts';

/** The provider's process: it owns the puppets, which are files. `argv`: where to listen, and its folder. */
const [, , socket = '', folder = ''] = process.argv;
const report = reporter<HopReport>();

const db = new Database(join(folder, 'provider.db'));
db.exec('PRAGMA journal_mode = WAL');
db.exec('PRAGMA synchronous = NORMAL'); // the process may crash; a machine would need FULL
// Which puppets were moved, where it outlives this process: after a restart the others keep what was not moved.
const topic = createTopic({ event: CacheEventSchema, store: new SqliteTopicStore(db, { name: 'puppets' }) });
const puppets = createCache({
  topic,
  load: async (name): Promise<Puppet> => ({ pose: Number(await readFile(join(folder, `${name}.pose`), 'utf8')) }),
});

const net = createNetServer();
createServer(new UnixDomainSocketServerTransport(net, 'PROVIDER'), serve(puppets));
await listenOnUnixSocket(net, socket);
report({ type: 'open' });
