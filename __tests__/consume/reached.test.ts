import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { ConsumeOptionsError, ReachedTimeoutError, UnknownConsumerError } from '../../consume/errors.ts';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import { MemorySource } from './support/memorySource.ts';
import { Stage, settled } from './support/stage.ts';

const noop = () => undefined;

/** Whether a promise has settled by now. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const done = () => {
    pending = false;
  };
  promise.then(done, done);
  await settled();
  return pending;
}

test('whoever waits for a position is let go once every consumer has handled it, not before', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  let release: (() => void) | undefined;
  const slow = {
    id: 'slow',
    effects: 'at-least-once' as const,
    handle: () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  };
  const engine = stage.engine({
    source,
    store: new MemoryCheckpointStore(),
    consumers: [{ id: 'a', handle: noop }, slow],
  });
  await engine.boot();
  engine.follow();
  const position = source.append(1);
  const all = engine.reached(position, { timeoutMs: 1_000 });
  const quick = engine.reached(position, { timeoutMs: 1_000, ids: ['a'] });
  expect(await isPending(quick)).toBe(false);
  expect(await isPending(all)).toBe(true);
  release?.();
  expect(await isPending(all)).toBe(false);
  await all;
  // Where it was reached before, at once.
  await engine.reached(position, { timeoutMs: 0 });
});

test('a timeout names who has not got there, and their status', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const failing = {
    id: 'bad',
    handle: () => {
      throw new Error('no');
    },
  };
  const engine = stage.engine({
    source,
    store: new MemoryCheckpointStore(),
    consumers: [{ id: 'a', handle: noop }, failing, { id: 'p', handle: noop }],
  });
  await engine.boot();
  await engine.pause('p');
  const position = source.append(1);
  await engine.run();
  const waiting = engine.reached(position, { timeoutMs: 500 });
  waiting.catch(noop);
  await stage.advance(500);
  await expect(waiting).rejects.toThrow(ReachedTimeoutError);
  await expect(waiting).rejects.toThrow("e1:1 was not reached within 500 ms by 'bad' (error), 'p' (paused)");
});

test('a position of another history is not reached by having come far in this one', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [{ id: 'a', handle: noop }] });
  source.append(1, 2, 3);
  await engine.boot();
  const waiting = engine.reached({ epoch: 'e0', offset: 1 }, { timeoutMs: 10 });
  waiting.catch(noop);
  await stage.advance(10);
  await expect(waiting).rejects.toThrow(ReachedTimeoutError);
});

test('a consumer that is finished is not waited for, unless it is named', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const engine = stage.engine({
    source,
    store: new MemoryCheckpointStore(),
    consumers: [
      { id: 'a', handle: noop },
      { id: 'f', mode: 'to-head', handle: noop },
    ],
  });
  await engine.boot();
  const position = source.append(1);
  await engine.run();
  await engine.reached(position, { timeoutMs: 0 });
  const waiting = engine.reached(position, { timeoutMs: 10, ids: ['f'] });
  waiting.catch(noop);
  await stage.advance(10);
  await expect(waiting).rejects.toThrow("'f' (finished)");
});

test('what another engine on the same store has handled is reached here, too', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const consumers = [{ id: 'a', handle: noop }];
  const [here, there] = [stage.engine({ source, store, consumers }), stage.engine({ source, store, consumers })];
  await there.boot();
  const waiting = here.reached(source.append(1), { timeoutMs: 5_000 });
  await there.run();
  await stage.advance(200);
  expect(await isPending(waiting)).toBe(false);
});

test('a signal ends the waiting with its reason, before it begins or later', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [{ id: 'a', handle: noop }] });
  const position = { epoch: 'e1', offset: 1 };
  const controller = new AbortController();
  const waiting = engine.reached(position, { timeoutMs: 1_000, signal: controller.signal });
  controller.abort(new Error('given up'));
  await expect(waiting).rejects.toThrow('given up');
  await expect(engine.reached(position, { timeoutMs: 1_000, signal: controller.signal })).rejects.toThrow('given up');
  expect(stage.clock.pendingTimers).toBe(0);
});

test('a signal that outlives the waiting is listened to no more', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [{ id: 'a', handle: noop }] });
  await engine.boot();
  const { signal } = new AbortController();
  const late = expect(engine.reached({ epoch: 'e1', offset: 2 }, { timeoutMs: 500, signal })).rejects.toThrow('500 ms');
  const waiting = engine.reached({ epoch: 'e1', offset: 1 }, { timeoutMs: 1_000, signal });
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  source.append(1);
  await engine.run();
  await waiting;
  await stage.advance(500);
  await late;
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('what makes no sense is refused with what was expected', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [{ id: 'a', handle: noop }] });
  const position = { epoch: 'e1', offset: 1 };
  await expect(engine.reached(position, { timeoutMs: 1, ids: ['b'] })).rejects.toThrow(UnknownConsumerError);
  await expect(engine.reached(position, { timeoutMs: Number.NaN })).rejects.toThrow(ConsumeOptionsError);
  // @ts-expect-error as a caller without types would
  await expect(engine.reached({ epoch: 'e1' }, { timeoutMs: 1 })).rejects.toThrow(
    'expected a position {epoch, offset}',
  );
});
