import { Type } from '@sinclair/typebox';
import {
  type CheckpointStore,
  type Consumer,
  createEngine,
  MemoryCheckpointStore,
  SqliteCheckpointStore,
} from 'holdfast/consume';
import { createTopic, type EventSource, SqliteTopicStore } from 'holdfast/watch';
import type Database from 'libsql';
import { watchHeap } from './holding.ts';
import type { Measured } from './measured.ts';

/** How often a run looks at the heap. */
const LOOKS = 5;

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

async function catchUp<Tx>(
  source: EventSource<number>,
  length: number,
  store: CheckpointStore<Tx>,
  consumerOf: (onEvent: () => void) => Consumer<number, Tx>,
): Promise<Measured> {
  const heap = watchHeap();
  let handled = 0;
  const consumer = consumerOf(() => {
    handled += 1;
    if (handled % (length / LOOKS) === 0) heap.look();
  });
  const engine = createEngine({ source, store, consumers: [consumer] });
  const startedAt = performance.now();
  const report = await engine.boot();
  const seconds = (performance.now() - startedAt) / 1_000;
  await engine.close();
  if (report.handled !== length) throw new Error(`expected ${length} events to be handled, got ${report.handled}`);
  return { perSecond: length / seconds, heldBytes: heap.mostBytes() };
}

/** Effects and positions in memory. */
export function inMemory(length: number): Promise<Measured> {
  return catchUp(historyOf(length), length, new MemoryCheckpointStore(), (onEvent) => ({
    id: 'memory',
    handle: onEvent,
  }));
}

/** The same with handlers that return promises. */
export function asynchronously(length: number): Promise<Measured> {
  return catchUp(historyOf(length), length, new MemoryCheckpointStore(), (onEvent) => ({
    id: 'asynchronous',
    effects: 'at-least-once',
    handle: async () => onEvent(),
  }));
}

/** From a topic in a file to a row for each event in the same file, with the position. */
export function durably(db: Database.Database, length: number): Promise<Measured> {
  const topic = createTopic({
    event: Type.Number(),
    store: new SqliteTopicStore(db, { name: 'history' }),
    keep: { events: Number.POSITIVE_INFINITY },
  });
  const atOnce = 10_000;
  for (let n = 0; n < length; n += atOnce) topic.publishAll(Array.from({ length: atOnce }, (_, i) => n + i));
  db.exec('CREATE TABLE effects (n INTEGER)');
  const insert = db.prepare('INSERT INTO effects VALUES (?)');
  return catchUp(topic, length, new SqliteCheckpointStore(db), (onEvent) => ({
    id: 'durable',
    handle: (event) => {
      insert.run(event);
      onEvent();
    },
  })).finally(() => topic.close());
}
