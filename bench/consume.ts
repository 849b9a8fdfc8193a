/**
 * How fast consumers catch up with a long history, and what they hold while they do: in memory, with asynchronous effects, and
 * durably, every effect and position in a SQLite file. Fails if a target is missed. Run it with `npm run bench:consume`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type CheckpointStore,
  type Consumer,
  createEngine,
  MemoryCheckpointStore,
  SqliteCheckpointStore,
} from 'holdfast/consume';
import type { EventSource } from 'holdfast/watch';
import Database from 'libsql';

/** Heap that a run may hold beyond what it began with, however long the history. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** A history whose events are made as they are read, so that what is measured is not its own memory. */
function historyOf(length: number): EventSource<number> {
  return {
    head: () => ({ epoch: 'bench', offset: length }),
    read: (after, limit) => {
      const from = after?.offset ?? 0;
      const count = Math.min(limit, length - from);
      const events = Array.from({ length: count }, (_, i) => ({
        position: { epoch: 'bench', offset: from + i + 1 },
        event: from + i + 1,
      }));
      return { kind: 'events', events };
    },
    onAppend: () => () => undefined,
  };
}

/** Events per second, and the most bytes held. */
async function measure<Tx>(
  length: number,
  store: CheckpointStore<Tx>,
  consumerOf: (onEvent: () => void) => Consumer<number, Tx>,
): Promise<{ perSecond: number; heldBytes: number }> {
  collect();
  const before = process.memoryUsage().heapUsed;
  let heldBytes = 0;
  let handled = 0;
  const consumer = consumerOf(() => {
    handled += 1;
    if (handled % (length / 5) !== 0) return;
    collect();
    heldBytes = Math.max(heldBytes, process.memoryUsage().heapUsed - before);
  });
  const engine = createEngine({ source: historyOf(length), store, consumers: [consumer] });
  const startedAt = performance.now();
  const report = await engine.boot();
  const seconds = (performance.now() - startedAt) / 1_000;
  await engine.close();
  if (report.handled !== length) throw new Error(`expected ${length} events to be handled, got ${report.handled}`);
  return { perSecond: length / seconds, heldBytes };
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
const db = new Database(join(folder, 'bench.db'));
db.exec('PRAGMA journal_mode = WAL');
db.exec('CREATE TABLE effects (n INTEGER)');
const insert = db.prepare('INSERT INTO effects VALUES (?)');

const cases = [
  {
    name: 'in memory',
    least: 100_000,
    run: () => measure(1_000_000, new MemoryCheckpointStore(), (onEvent) => ({ id: 'memory', handle: onEvent })),
  },
  {
    name: 'in memory, asynchronous effects',
    least: 50_000,
    run: () =>
      measure(1_000_000, new MemoryCheckpointStore(), (onEvent) => ({
        id: 'asynchronous',
        effects: 'at-least-once',
        handle: async () => onEvent(),
      })),
  },
  {
    name: 'durable, a row per event',
    least: 20_000,
    run: () =>
      measure(200_000, new SqliteCheckpointStore(db), (onEvent) => ({
        id: 'durable',
        handle: (event) => {
          insert.run(event);
          onEvent();
        },
      })),
  },
];

let isMissed = false;
for (const { name, least, run } of cases) {
  const { perSecond, heldBytes } = await run();
  const isMet = perSecond >= least && heldBytes <= MAX_HELD_BYTES;
  isMissed ||= !isMet;
  const held = (heldBytes / 1024 / 1024).toFixed(1);
  console.log(
    `${isMet ? 'met   ' : 'MISSED'} ${name}: ${Math.round(perSecond)} events/s (at least ${least}), ${held} MiB held`,
  );
}
db.close();
rmSync(folder, { recursive: true, force: true });
process.exit(isMissed ? 1 : 0);
