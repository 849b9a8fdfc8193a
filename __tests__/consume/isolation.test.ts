import { expect, test } from 'vitest';
import type { TransactionalConsumer } from '../../consume/consumer.ts';
import { StoreError } from '../../consume/errors.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import { SqliteCheckpointStore } from '../../consume/sqliteStore.ts';
import { MemorySource } from './support/memorySource.ts';
import { openDatabase, Stage } from './support/stage.ts';

type Transactional = TransactionalConsumer<number, MemoryTransaction>;

/** Boots a consumer beside one that does nothing but note what it gets. */
async function besideAnother(stage: Stage, source: MemorySource<number>, first: Transactional) {
  const store = new MemoryCheckpointStore();
  const seen: number[] = [];
  const second: Transactional = { id: 'z', onGap: 'skip-to-oldest', handle: (event) => void seen.push(event) };
  await stage.engine({ source, store, consumers: [first, second] }).boot();
  return { record: store.load('default', first.id), seen };
}

const thrown: [string, unknown, string][] = [
  ['undefined', undefined, 'undefined'],
  ['a text', 'no', 'no'],
  ['an object', { code: 1 }, 'an object'],
  ['a symbol', Symbol('no'), 'Symbol(no)'],
  ['an error without a message', Object.assign(new Error(), { message: undefined }), 'undefined'],
  ['an error whose message is an object', Object.assign(new Error(), { message: { code: 1 } }), 'an object'],
  ['a StoreError, of a store of its own', new StoreError('writing', new Error('disk full')), 'writing: disk full'],
];

test.each(thrown)('a handler that throws %s is in error, and holds nobody up', async (_what, error, message) => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  source.append(1, 2);
  const handle = () => {
    throw error;
  };
  const { record, seen } = await besideAnother(stage, source, { id: 'a', handle });
  expect(record).toMatchObject({ status: 'error', attempt: 1, error: { code: 'HANDLER', message } });
  expect(seen).toEqual([1, 2]);
  expect(stage.faults).toEqual([{ kind: 'consumer', consumer: 'a', error }]);
});

test.each(thrown)('a reset that throws %s is retried, and holds nobody up', async (_what, error, message) => {
  await using stage = new Stage();
  const source = new MemorySource<number>(2);
  source.append(1, 2, 3);
  const reset = () => {
    throw error;
  };
  const first: Transactional = { id: 'a', onGap: 'restart', reset, handle: () => undefined };
  const { record, seen } = await besideAnother(stage, source, first);
  expect(record).toMatchObject({ status: 'error', error: { code: 'RESET', message, retryAt: expect.any(Number) } });
  expect(seen).toEqual([2, 3]);
  expect(stage.faults).toEqual([{ kind: 'consumer', consumer: 'a', error }]);
});

test('effects that the database refuses with the commit hold up nobody but who had them', async () => {
  await using stage = new Stage();
  const db = openDatabase(':memory:');
  db.exec('PRAGMA foreign_keys = ON');
  db.exec('CREATE TABLE customers (id INTEGER PRIMARY KEY)');
  db.exec('CREATE TABLE orders (customer INTEGER REFERENCES customers DEFERRABLE INITIALLY DEFERRED)');
  const source = new MemorySource<number>();
  const store = new SqliteCheckpointStore(db);
  const seen: number[] = [];
  const engine = stage.engine({
    source,
    store,
    consumers: [
      { id: 'a', handle: (event, _position, tx) => void tx.exec(`INSERT INTO orders VALUES (${event})`) },
      { id: 'b', handle: (event) => void seen.push(event) },
      { id: 'slow', effects: 'at-least-once', handle: (event) => (event === 3 ? new Promise(() => undefined) : null) },
    ],
  });
  source.append(1);
  await expect(engine.boot()).rejects.toThrow(StoreError);
  source.append(2);
  await expect(engine.run()).rejects.toThrow('FOREIGN KEY');
  source.append(3);
  await expect(engine.run()).rejects.toThrow('FOREIGN KEY');
  expect(seen).toEqual([1, 2, 3]);
  expect([store.load('default', 'a'), store.load('default', 'slow')]).toMatchObject([
    { position: { offset: 0 } },
    { position: { offset: 2 } },
  ]);
  await engine.pause('slow');
  db.exec('INSERT INTO customers VALUES (1), (2), (3)');
  await engine.run();
  expect(store.load('default', 'a')).toMatchObject({ status: 'active', position: { offset: 3 } });
  await engine.close();
  db.close();
});
