import { expect, test } from 'vitest';
import type { Consumer } from '../../consume/consumer.ts';
import { StoreError } from '../../consume/errors.ts';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import { SqliteCheckpointStore } from '../../consume/sqliteStore.ts';
import { MemorySource } from './support/memorySource.ts';
import { effectsOn, openDatabase, Stage, settled, storeCases } from './support/stage.ts';

const cases = storeCases.filter(({ name }) => !name.includes('reopened'));

test.each(cases)(
  'two engines on one store: the second waits while the first runs, and has each effect once: $name',
  async ({ open }) => {
    await using stage = new Stage();
    using under = open();
    const source = new MemorySource<number>();
    let release: (() => void) | undefined;
    const consumers: Consumer<number, unknown>[] = [
      { id: 'a', handle: (event, _position, tx) => under.effect(String(event), tx) },
      {
        id: 'slow',
        effects: 'at-least-once',
        handle: () =>
          new Promise<void>((resolve) => {
            release = resolve;
          }),
      },
    ];
    const first = stage.engine({ source, store: under.store, consumers });
    const second = stage.engine({ source, store: under.reopened(), consumers });
    source.append(1);
    const booted = first.boot();
    await settled();
    expect(await second.run()).toEqual({ outcome: 'busy', handled: 0 });
    // However long it takes: the lease is renewed while its owner is at work.
    await stage.advance(25_000);
    expect(await second.run()).toEqual({ outcome: 'busy', handled: 0 });
    second.follow();
    release?.();
    expect((await booted).outcome).toBe('done');
    source.append(2);
    await stage.advance(1_000);
    release?.();
    await stage.advance(1_000);
    expect(under.effects()).toEqual(['1', '2']);
  },
);

test.each(cases)(
  'a runner that stood still while its lease expired commits nothing any more: $name',
  async ({ open }) => {
    await using stage = new Stage();
    using under = open();
    const source = new MemorySource<number>();
    const other = under.reopened();
    // The first one's process stands still in the middle of a read, and the second one's goes on.
    let answer: (() => void) | undefined;
    const stuck = new MemorySource<number>();
    const first = stage.engine({
      source: stuck,
      store: under.store,
      consumers: [{ id: 'a', handle: (event, _position, tx) => under.effect(`first ${event}`, tx) }],
    });
    await first.boot();
    stuck.append(1);
    const read = stuck.read.bind(stuck);
    stuck.read = (after, limit) =>
      new Promise((resolve) => {
        answer = () => resolve(read(after, limit));
      });
    const run = first.run();
    await settled();
    const held = under.store.lease('default');
    if (held === undefined) throw new Error('expected the first to hold the lease');
    // As if nothing had renewed it for so long.
    other.saveLease('default', { ...held, renewedAt: held.renewedAt - held.ttlMs });
    const second = stage.engine({
      source,
      store: other,
      consumers: [{ id: 'a', handle: (event, _position, tx) => under.effect(`second ${event}`, tx) }],
    });
    source.append(1);
    expect(await second.run()).toEqual({ outcome: 'done', handled: 1 });
    answer?.();
    expect(await run).toEqual({ outcome: 'lost', handled: 0 });
    expect(under.effects()).toEqual(['second 1']);
    expect(other.load('default', 'a')).toMatchObject({ position: { offset: 1 } });
  },
);

test.each(cases)('a runner that notices the loss while a handler is at work aborts it: $name', async ({ open }) => {
  await using stage = new Stage();
  using under = open();
  const source = new MemorySource<number>();
  let signal: AbortSignal | undefined;
  const consumers: Consumer<number, unknown>[] = [
    {
      id: 'a',
      effects: 'at-least-once',
      handle: (_event, _position, context) =>
        new Promise(() => {
          ({ signal } = context);
        }),
    },
  ];
  const engine = stage.engine({ source, store: under.store, consumers });
  source.append(1);
  const booted = engine.boot();
  await settled();
  const held = under.store.lease('default');
  under.store.saveLease('default', {
    owner: 'another',
    fence: (held?.fence ?? 0) + 1,
    renewedAt: stage.clock.wallNow(),
    ttlMs: 10_000,
  });
  await stage.advance(3_400);
  expect(signal?.aborted).toBe(true);
  expect((await booted).outcome).toBe('lost');
  expect(under.store.lease('default')?.owner).toBe('another');
});

test.each(cases)('the lease of a crashed runner expires, and whoever follows takes over: $name', async ({ open }) => {
  await using stage = new Stage();
  using under = open();
  const source = new MemorySource<number>();
  const consumers = [
    { id: 'a', handle: (event: number, _position: unknown, tx: unknown) => under.effect(String(event), tx) },
  ];
  const engine = stage.engine({ source, store: under.store, consumers });
  await engine.boot();
  under
    .reopened()
    .saveLease('default', { owner: 'crashed', fence: 99, renewedAt: stage.clock.wallNow(), ttlMs: 10_000 });
  engine.follow();
  source.append(1);
  await stage.advance(9_900);
  expect(under.effects()).toEqual([]);
  await stage.advance(600);
  expect(under.effects()).toEqual(['1']);
  expect(under.store.lease('default')).toMatchObject({ owner: '', fence: 100 });
});

test('a lease from the distant future, as after a clock that was wrong, holds up nobody', async () => {
  await using stage = new Stage();
  using under = (
    cases[0] ?? {
      open: () => {
        throw new Error('no store');
      },
    }
  ).open();
  const source = new MemorySource<number>();
  const engine = stage.engine({ source, store: under.store, consumers: [{ id: 'a', handle: () => undefined }] });
  under.store.saveLease('default', {
    owner: 'future',
    fence: 5,
    renewedAt: stage.clock.wallNow() + 1e12,
    ttlMs: 10_000,
  });
  expect((await engine.boot()).outcome).toBe('done');
});

test('inside a transaction that the application has open nothing runs, since it could be undone with it', async () => {
  await using stage = new Stage();
  const db = openDatabase(':memory:');
  const { effect, effects } = effectsOn(db);
  const source = new MemorySource<number>();
  const consumers = [{ id: 'a', handle: () => effect('x') }];
  const engine = stage.engine({ source, store: new SqliteCheckpointStore(db), consumers });
  await engine.boot();
  source.append(1);
  db.exec('BEGIN');
  await expect(engine.run()).rejects.toThrow(StoreError);
  await expect(engine.pause('a')).rejects.toThrow('a transaction is open');
  db.exec('ROLLBACK');
  expect(effects()).toEqual([]);
  expect((await engine.run()).handled).toBe(1);
  expect(effects()).toEqual(['x']);
});

test('whoever could not give its lease back has it still, and runs again', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const seen: number[] = [];
  const engine = stage.engine({ source, store, consumers: [{ id: 'a', handle: (event) => void seen.push(event) }] });
  await engine.boot();
  const save = store.saveLease.bind(store);
  store.saveLease = (name, lease) => {
    if (lease.owner === '') throw new Error('no disk');
    save(name, lease);
  };
  source.append(1);
  expect(await engine.run()).toMatchObject({ outcome: 'done' });
  expect(stage.faults).toMatchObject([{ kind: 'lease', error: { message: 'no disk' } }]);
  source.append(2);
  expect(await engine.run()).toMatchObject({ outcome: 'done' });
  expect(seen).toEqual([1, 2]);
});
