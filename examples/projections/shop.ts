import { mkdirSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'holdfast';
import { createEngine, SqliteCheckpointStore } from 'holdfast/consume';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import Database from 'libsql';
import { reporter } from '../stage/report.ts';
import { openOrders } from './orders.ts';
import { createTables, projections } from './projections.ts';
import type { ShopReport } from './reports.ts';
import { createServices } from './services.ts';

/** The shop's process: the log, its projections and its customers' door. `argv`: its folder and its version. */
const [, , folder = '', version = ''] = process.argv;
const report = reporter<ShopReport>();
const labels = join(folder, 'labels');
mkdirSync(labels, { recursive: true });

const db = new Database(join(folder, 'shop.db'));
db.exec('PRAGMA journal_mode = WAL');
db.exec('PRAGMA synchronous = NORMAL'); // the process may crash; a machine would need FULL
db.exec('PRAGMA busy_timeout = 5000');
createTables(db);

const orders = openOrders(db);
const store = new SqliteCheckpointStore(db);
const failures = new Map<string, number>();
const engine = createEngine({
  source: orders,
  store,
  consumers: projections(Number(version), labels),
  retry: { baseMs: 50, maxMs: 200 },
  leaseMs: 1_000, // so long nobody projects anything after a crash
  onError({ kind, consumer, error }) {
    if (kind !== 'consumer' || consumer === undefined) throw error;
    const times = (failures.get(consumer) ?? 0) + 1;
    failures.set(consumer, times);
    report({ type: 'failed', projection: consumer, times });
  },
});
orders.onAppend(() => report({ type: 'appended', offset: orders.head().offset }));
await engine.boot();
engine.follow();

const net = createNetServer();
createServer(new UnixDomainSocketServerTransport(net), createServices(orders, store, engine));
await listenOnUnixSocket(net, join(folder, 'shop.sock'));
report({ type: 'open' });
