import { createServer as createNetServer } from 'node:net';
import { createServer } from 'holdfast';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import Database from 'libsql';
import { reporter } from '../stage/report.ts';
import { createFolder } from './services.ts';

/** The server's process. `argv`: where to listen, and its database. */
const [, , socket = '', file = ''] = process.argv;
const report = reporter<{ type: 'open' }>();

const db = new Database(file);
db.exec('PRAGMA journal_mode = WAL');
db.exec('PRAGMA synchronous = NORMAL'); // the process may crash; a machine would need FULL
const net = createNetServer();
createServer(new UnixDomainSocketServerTransport(net), createFolder(db));
await listenOnUnixSocket(net, socket);
report({ type: 'open' });
