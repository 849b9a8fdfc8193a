// A process with consumers over SQLite on disk, to be killed. Run as built: `node program.mjs TASK FILE [EVENTS]`.
// HOLDFAST_KILL_AT=n: it kills itself at the n-th moment, before every statement, and around every await.
import { writeSync } from 'node:fs';
import { createEngine, once, onceAsync, SqliteCheckpointStore } from 'holdfast/consume';
import Database from 'libsql';

const [, , task, file, events = '6'] = process.argv;
const killAt = Number(process.env.HOLDFAST_KILL_AT ?? Number.POSITIVE_INFINITY);
let moments = 0;

function moment() {
  moments += 1;
  if (moments === killAt) process.kill(process.pid, 'SIGKILL');
}

/** After one statement is before the next: there is nothing between them that a crash could lose. */
function marked(fn) {
  moment();
  return fn();
}

const real = new Database(file);
real.exec('PRAGMA busy_timeout = 20000');
/** The real handle, with moments. */
const db = {
  exec: (sql) => marked(() => real.exec(sql)),
  prepare: (sql) => {
    const statement = real.prepare(sql);
    return {
      run: (...parameters) => marked(() => statement.run(...parameters)),
      get: (...parameters) => marked(() => statement.get(...parameters)),
      all: (...parameters) => marked(() => statement.all(...parameters)),
    };
  },
};
const store = new SqliteCheckpointStore(db);
const insert = db.prepare('INSERT INTO effects (text) VALUES (?)');

/** Says how far it is, at once: whoever reads it may kill this process at any moment after. */
const say = (line) => writeSync(1, `${line}\n`);

async function turn() {
  moment();
  await new Promise((resolve) => setImmediate(resolve));
  moment();
}

/** Events 1, 2, 3 …, of which every process sees a little more with each look. */
const step = task === 'share' ? 20 : Number(events);
let seen = 0;
const source = {
  head: async () => {
    await turn();
    seen = Math.min(Number(events), seen + step);
    return { epoch: 'e1', offset: seen };
  },
  read: async (after, limit) => {
    await turn();
    const count = Math.min(limit, Math.max(seen, after.offset) - after.offset);
    const positions = Array.from({ length: count }, (_, i) => ({ epoch: 'e1', offset: after.offset + 1 + i }));
    return { kind: 'events', events: positions.map((position) => ({ position, event: position.offset })) };
  },
  onAppend: () => () => undefined,
};

const consumers = [
  { id: 'transactional', handle: (event) => void insert.run(`transactional ${event}`) },
  {
    id: 'ledger',
    // Every id is delivered twice: by two events.
    handle: (event) =>
      void once(store, 'ids', `${Math.ceil(event / 2)}`, () => void insert.run(`ledger ${Math.ceil(event / 2)}`)),
  },
  ...['at-least-once', 'at-most-once'].map((effects) => ({
    id: effects,
    effects,
    handle: async (event) => {
      await turn();
      insert.run(`${effects} ${event}`);
      await turn();
    },
  })),
];

const engine = createEngine({
  source,
  store,
  batchSize: task === 'boot' ? 2 : 10,
  // Renewing it would be a moment that comes whenever it likes.
  leaseMs: task === 'boot' ? 3_600_000 : 1_000,
  pollMs: 5,
  consumers: task === 'boot' ? consumers : consumers.slice(0, 2),
});

if (task === 'once') {
  await Promise.all(
    Array.from({ length: Number(events) }, async (_, i) => {
      const { ran } = once(store, 'once', `${i}`, () => void insert.run(`once ${i}`));
      await onceAsync(store, 'async', `${i}`, { mode: 'at-most-once' }, async () => {
        await turn();
        insert.run(`async ${i}`);
      });
      if (ran) say(`ran ${i}`);
    }),
  );
} else {
  await engine.boot();
  while (!(await engine.status()).every(({ position }) => position?.offset === Number(events))) {
    const { outcome, handled } = await engine.run();
    if (handled > 0) say(`handled ${handled}`);
    if (outcome !== 'done') await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
await engine.close();
say(`moments ${moments}`);
real.close();
