import { expect, test } from 'vitest';
import type { AsyncConsumer, HandlerContext } from '../../consume/consumer.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import { MemorySource } from './support/memorySource.ts';
import { Stage, settled } from './support/stage.ts';

type Async = AsyncConsumer<number, MemoryTransaction>;
type Effects = Async['effects'];

/** A handler whose calls wait until the test lets them go. */
function manual(id: string, effects: Effects, options: Partial<Async> = {}) {
  const calls: { event: number; context: HandlerContext; resolve: () => void; reject: (error: Error) => void }[] = [];
  const consumer: Async = {
    id,
    effects,
    handle: (event, _position, context) =>
      new Promise<void>((resolve, reject) => calls.push({ event, context, resolve, reject })),
    ...options,
  };
  return { consumer, calls };
}

const modes: Effects[] = ['at-least-once', 'at-most-once'];

test.each(modes)('%s: events are handled one after the other, in order', async (effects) => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const { consumer, calls } = manual('a', effects);
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer], batchSize: 2 });
  source.append(1, 2, 3);
  const booted = engine.boot();
  for (let n = 0; n < 3; n++) {
    await settled();
    expect(calls.map(({ event }) => event)).toEqual([1, 2, 3].slice(0, n + 1));
    calls[n]?.resolve();
  }
  expect(await booted).toEqual({ outcome: 'done', handled: 3 });
});

test.each([
  ['at-least-once', 0, [1, 1, 2]],
  ['at-most-once', 1, [1, 2]],
] as const)(
  '%s: while event 1 is handled the saved position is %i; after a failure the events handled are %j',
  async (effects, during, all) => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const { consumer, calls } = manual('a', effects);
    const store = new MemoryCheckpointStore();
    const engine = stage.engine({ source, store, consumers: [consumer] });
    source.append(1, 2);
    engine.follow();
    const booted = engine.boot();
    await settled();
    expect(store.load('default', 'a')?.position?.offset).toBe(during);
    calls[0]?.reject(new Error('failed'));
    await booted;
    expect(store.load('default', 'a')).toMatchObject({
      status: 'error',
      error: { message: 'failed', position: { offset: 1 } },
    });
    await stage.advance(1_000);
    for (let n = 1; n < all.length; n++) {
      calls[n]?.resolve();
      await settled();
    }
    expect(calls.map(({ event }) => event)).toEqual(all);
    expect(store.load('default', 'a')).toMatchObject({ status: 'active', position: { offset: 2 } });
  },
);

test.each([
  ['at-least-once', [1, 1]],
  ['at-most-once', [1]],
] as const)('%s: after a crash while event 1 is handled, a new engine has handled %j', async (effects, all) => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const first = manual('a', effects);
  const crashed = stage.engine({ source, store, consumers: [first.consumer] });
  source.append(1);
  void crashed.boot();
  await settled();
  // Its lease expires: nobody renews it for what has crashed, and this one's clock is the only one.
  await crashed.close();
  expect(first.calls[0]?.context.signal.aborted).toBe(true);
  const second = manual('a', effects);
  const engine = stage.engine({ source, store, consumers: [second.consumer] });
  const run = engine.run();
  await settled();
  for (const { resolve } of second.calls) resolve();
  await run;
  expect([...first.calls, ...second.calls].map(({ event }) => event)).toEqual(all);
});

test.each(modes)(
  '%s: a success ends a row of failures, so that the next one waits no longer than a first',
  async (effects) => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const store = new MemoryCheckpointStore();
    const attempts: number[] = [];
    let failures = 2;
    const handle = async (_event: number, _position: unknown, { attempt }: HandlerContext) => {
      attempts.push(attempt);
      if (failures-- > 0) throw new Error('not yet');
    };
    const engine = stage.engine({ source, store, consumers: [{ id: 'a', effects, handle }] });
    source.append(1, 2, 3, 4);
    engine.follow();
    await engine.boot();
    for (let n = 0; n < 2; n++) await stage.advance(2_000);
    expect(attempts.slice(0, 4)).toEqual([0, 1, 2, 0]);
    expect(store.load('default', 'a')).toMatchObject({ position: { offset: 4 }, attempt: 0 });
  },
);

test('a slow handler holds up nobody but itself, also for events that come while it is at work', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const { consumer, calls } = manual('slow', 'at-least-once');
  const seen: number[] = [];
  const engine = stage.engine({
    source,
    store: new MemoryCheckpointStore(),
    consumers: [consumer, { id: 'quick', handle: (event) => void seen.push(event) }],
  });
  await engine.boot();
  engine.follow();
  source.append(1);
  await settled();
  source.append(2);
  source.append(3);
  await settled();
  expect(seen).toEqual([1, 2, 3]);
  expect(calls.map(({ event }) => event)).toEqual([1]);
  for (let n = 0; n < 3; n++) {
    calls[n]?.resolve();
    await settled();
  }
  expect(calls.map(({ event }) => event)).toEqual([1, 2, 3]);
});

test('a slow handler holds up no retry of another, whether or not events come', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const { consumer, calls } = manual('slow', 'at-least-once', { timeoutMs: 600_000 });
  const seen: number[] = [];
  let failures = 2;
  const engine = stage.engine({
    source,
    store: new MemoryCheckpointStore(),
    consumers: [
      consumer,
      {
        id: 'fails twice',
        handle(event) {
          if (failures > 0) {
            failures -= 1;
            throw new Error('not yet');
          }
          seen.push(event);
        },
      },
    ],
    retry: { baseMs: 100, maxMs: 1_000 },
  });
  await engine.boot();
  engine.follow();
  source.append(1);
  await stage.advance(10);
  expect(failures).toBe(1);
  // Nothing comes meanwhile.
  await stage.advance(1_500);
  expect(failures).toBe(0);
  for (let event = 2; event <= 200; event++) {
    source.append(event);
    await stage.advance(10);
  }
  expect(seen).toHaveLength(200);
  expect(calls).toHaveLength(1);
});

test('a handler that does not settle in time has failed: its signal aborts, and it is tried again', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const { consumer, calls } = manual('a', 'at-least-once', { timeoutMs: 500 });
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
  await engine.boot();
  engine.follow();
  source.append(1);
  await stage.advance(499);
  expect(calls[0]?.context.signal.aborted).toBe(false);
  await stage.advance(1);
  expect(calls[0]?.context).toMatchObject({ attempt: 0, signal: { aborted: true } });
  expect((await engine.status())[0]?.error?.message).toContain('did not settle within 500 ms');
  await stage.advance(1_000);
  expect(calls[1]?.context.attempt).toBe(1);
  calls[1]?.resolve();
  await settled();
  expect((await engine.status())[0]).toMatchObject({ status: 'active', attempt: 0, position: { offset: 1 } });
  // What the first call does now has no effect.
  calls[0]?.reject(new Error('too late'));
  await settled();
  expect((await engine.status())[0]).toMatchObject({ status: 'active' });
});

test.each(modes)(
  '%s: pausing while a handler is at work keeps what it has done, and begins no other',
  async (effects) => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const { consumer, calls } = manual('a', effects);
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    await engine.boot();
    source.append(1, 2);
    const run = engine.run();
    await settled();
    await engine.pause('a');
    calls[0]?.resolve();
    await run;
    expect((await engine.status())[0]).toMatchObject({ status: 'paused', position: { offset: 1 } });
    expect(calls).toHaveLength(1);
  },
);

test('rebuilding while the first event is handled does not count that event for the new beginning', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const { consumer, calls } = manual('a', 'at-least-once');
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
  await engine.boot();
  source.append(1);
  const run = engine.run();
  await settled();
  await engine.rebuild('a');
  calls[0]?.resolve();
  await settled();
  expect(calls.map(({ event }) => event)).toEqual([1, 1]);
  calls[1]?.resolve();
  await run;
  expect((await engine.status())[0]).toMatchObject({ status: 'active', position: { offset: 1 } });
});

test('a handler that throws at once, and one that returns no promise, are as good as any', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const consumer: Async = {
    id: 'a',
    effects: 'at-least-once',
    handle: (event) => {
      if (event === 2) throw new Error('at once');
    },
  };
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
  source.append(1, 2);
  await engine.boot();
  expect((await engine.status())[0]).toMatchObject({ status: 'error', position: { offset: 1 } });
});
