// The optional layers in whichever runtime executes this, over the SQLite that it ships (libsql where it has none): a topic
// that is published on in the application's transaction, a watch that outlives its session, consumers and the ledger,
// caches over two hops, and a call with a key. Prints one JSON line of what it saw; exits with 1 on the first thing that is off.
import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServiceSchema, Ok, Procedure, unwrapOrThrow } from 'holdfast';
import { cacheProcedures, createCache, relayCache } from 'holdfast/cache';
import { createEngine, once, SqliteCheckpointStore } from 'holdfast/consume';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import {
  createTopic,
  inTransaction,
  SqliteIdempotencyStore,
  SqliteTopicStore,
  topicProcedure,
  watch,
} from 'holdfast/watch';

async function openDatabase() {
  if (globalThis.Bun !== undefined) return ['bun:sqlite', new (await import('bun:sqlite')).Database(':memory:')];
  const builtIn = await import('node:sqlite').catch(() => undefined);
  if (builtIn !== undefined) return ['node:sqlite', new builtIn.DatabaseSync(':memory:')];
  return ['libsql', new (await import('libsql')).default(':memory:')];
}

function expectEqual(what, got, wanted) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: expected ${right}, got ${left}`);
}

const timeoutMs = 5_000;
const [driver, db] = await openDatabase();
const seen = [driver];
const Service = createServiceSchema();
const network = createMemoryNetwork();
db.exec('CREATE TABLE orders (n INTEGER)');
db.exec('CREATE TABLE sums (total INTEGER)');
db.exec('INSERT INTO sums VALUES (0)');

const Order = Type.Object({ n: Type.Integer() });
const topic = createTopic({ event: Order, store: new SqliteTopicStore(db, { name: 'orders' }) });
const place = (n) =>
  inTransaction(db, () => {
    db.prepare('INSERT INTO orders VALUES (?)').run(n);
    return topic.publish({ n });
  });
const count = () => Number(db.prepare('SELECT count(*) AS n FROM orders').get().n);
const owner = createCache({ load: async () => ({ count: count() }) });
const Count = Type.Object({ count: Type.Integer() });
const services = {
  orders: Service.define({
    changes: topicProcedure(topic, { event: Order, authorize: () => true }),
    count: Procedure.rpc({ requestInit: Type.Object({}), responseData: Count, handler: () => Ok({ count: count() }) }),
    place: Procedure.rpc({
      requestInit: Order,
      responseData: Count,
      handler: ({ reqInit }) => {
        place(reqInit.n);
        return Ok({ count: count() });
      },
    }),
  }),
  counts: Service.define(cacheProcedures(owner, { value: Count, authorize: () => true })),
};
const serverTransport = network.createServerTransport('SERVER');
const idempotency = { store: new SqliteIdempotencyStore(db) };
const server = createServer(serverTransport, services, { idempotency });
const transport = network.createClientTransport('client');
const client = createClient(transport, 'SERVER');

const watched = watch(client.orders.changes, {
  load: async ({ signal }) => unwrapOrThrow(await client.orders.count.rpc({}, { signal })).count,
});
await watched.reached(place(1), { timeoutMs });
expectEqual('a watch', watched.value, 1);
transport.hardDisconnect();
await watched.reached(place(2), { timeoutMs });
expectEqual('a watch in its second session', watched.value, 2);
try {
  inTransaction(db, () => {
    place(99);
    throw new Error('no');
  });
} catch {}
expectEqual('after a rollback', [topic.head().offset, count()], [2, 2]);
seen.push('watch');

const store = new SqliteCheckpointStore(db);
const add = (order, _position, tx) => void tx.prepare('UPDATE sums SET total = total + ?').run(order.n);
const engine = createEngine({ source: topic, store, consumers: [{ id: 'sum', handle: add }] });
await engine.boot();
const stop = engine.follow();
await engine.reached(place(3), { timeoutMs });
expectEqual('a consumer', Number(db.prepare('SELECT total FROM sums').get().total), 6);
const effects = ['m-1', 'm-1'].map((id) => once(store, 'mails', id, () => 'sent').ran);
expectEqual('the ledger', effects, [true, false]);
stop();
await engine.close();
seen.push('consume');

const hop = relayCache(client.counts);
expectEqual('a cache', await hop.get('all'), { count: 3 });
await hop.update('all', () => place(4), { timeoutMs });
expectEqual('a cache after an invalidation', await hop.get('all'), { count: 4 });
hop.close();
owner.close();
seen.push('cache');

const keyed = () => client.orders.place.rpc({ n: 5 }, { idempotencyKey: 'order-5', timeoutMs });
expectEqual('a call with a key', [await keyed(), await keyed()].map(unwrapOrThrow), [{ count: 5 }, { count: 5 }]);
seen.push('idempotency');

watched.dispose();
await server.close();
transport.close();
serverTransport.close();
topic.close();
db.close();
console.log(JSON.stringify(seen));
