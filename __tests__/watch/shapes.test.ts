import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { cacheProcedures, createCache, relayCache } from '../../cache/index.ts';
import { createEngine, MemoryCheckpointStore, once, onceAsync, pruneLedger } from '../../consume/index.ts';
import {
  createMirror,
  createTopic,
  type Position,
  SqliteIdempotencyStore,
  SqliteTopicStore,
  topicProcedure,
} from '../../watch/index.ts';

/*
 * What whoever writes JavaScript, or casts, hands in by mistake is refused where it is handed in. The types are not asked here:
 * they would not let any of this pass.
 */

const event = Type.Object({});
const topic = createTopic({ event });
/** Some drivers' handles have a method of the name that a store's has. */
const database = { exec: () => undefined, prepare: () => undefined, transaction: () => () => 'never' };
const store = new MemoryCheckpointStore();

test.each<[string, () => unknown, string]>([
  [
    'a database as a topic store',
    () => createTopic({ event, store: database as never }),
    'expected store to be a TopicStore, such as a SqliteTopicStore, got one without extent()',
  ],
  [
    'a path as a database',
    () => new SqliteTopicStore('events.db' as never, { name: 'docs' }),
    'expected an open database of better-sqlite3, libsql or node:sqlite, got events.db',
  ],
  [
    'no database for outcomes',
    () => new SqliteIdempotencyStore(undefined as never),
    'expected an open database of better-sqlite3, libsql or node:sqlite, got undefined',
  ],
  [
    'a topic without authorize',
    () => topicProcedure(topic, { event } as never),
    'expected authorize to be a function, got undefined',
  ],
  [
    'a cache without authorize',
    () => cacheProcedures(createCache({ load: () => 1 }), { value: Type.Number() } as never),
    'expected authorize to be a function, got undefined',
  ],
  ['a cache without load', () => createCache({} as never), 'expected load to be a function, got undefined'],
  [
    'a cache with a store that is none',
    () => createCache({ load: () => 1, store: {} as never }),
    'expected store to be a Map, or anything like one, got one without get()',
  ],
  [
    'a relay of a client instead of its service',
    () => relayCache({ docs: { get: { rpc: () => undefined } } } as never),
    'expected the service of a client that cacheProcedures serves, as client.docs, got one without get.rpc()',
  ],
  [
    'whenLost of another name',
    () => {
      const call = () => Promise.reject(new Error('not here'));
      const upstream = { get: { rpc: call }, invalidate: { rpc: call }, changes: { subscribe: call } };
      relayCache(upstream as never, { whenLost: 'stale' as never });
    },
    "expected whenLost to be 'fetch', 'reject' or { maxStaleMs }, got 'stale'",
  ],
  [
    'an engine over a database',
    () => createEngine({ source: topic, store: database as never, consumers: [] }),
    'expected store to be a CheckpointStore, such as a SqliteCheckpointStore, got an object',
  ],
  [
    'an effect once, in a database',
    () => once(database as never, 'mails', '1', () => 'sent'),
    'expected store to be a CheckpointStore, such as a SqliteCheckpointStore, got an object',
  ],
  [
    'a ledger that is a database',
    () => pruneLedger(database as never, { olderThanMs: 1 }),
    'expected store to be a CheckpointStore, such as a SqliteCheckpointStore, got an object',
  ],
])('%s is refused', (_what, make, message) => {
  expect(make).toThrow(message);
});

test('an asynchronous effect once, in a database, is refused', async () => {
  let ran = false;
  const effect = () => {
    ran = true;
  };
  const doing = onceAsync(database as never, 'mails', '1', { mode: 'at-least-once' }, effect);
  await expect(doing).rejects.toThrow('expected store to be a CheckpointStore');
  expect(ran).toBe(false);
  await onceAsync(store, 'mails', '1', { mode: 'at-least-once' }, effect);
  expect(ran).toBe(true);
});

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'undefined'],
  ['an offset alone', 5, '5'],
  ['a position of something else', { seq: 5 }, 'an object with seq'],
  ['half an offset', { epoch: 'a', offset: 0.5 }, 'an object with epoch, offset'],
])('nobody waits for %s', async (_what, position, shown) => {
  const mirror = createMirror({});
  for (const source of [topic, mirror])
    await expect(source.reached(position as Position, { timeoutMs: 1 })).rejects.toThrow(
      `expected a position, { epoch, offset }, got ${shown}`,
    );
  mirror.close();
});
