import { expect, test } from 'vitest';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import type { Clock } from '../../router/index.ts';
import { MemorySource } from './support/memorySource.ts';
import { Stage, settled } from './support/stage.ts';

/** An engine that is followed, with one consumer that fails until it is told not to. */
async function failing(stage: Stage, clock: Clock = stage.clock) {
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const consumer = {
    id: 'a',
    isBroken: true,
    attempts: 0,
    handle() {
      consumer.attempts += 1;
      if (consumer.isBroken) throw new Error('no');
    },
  };
  const engine = stage.engine({ source, store, consumers: [consumer], clock });
  source.append(1);
  await engine.boot();
  engine.follow();
  await stage.advance(20_000);
  const record = () => store.load('default', 'a');
  return { source, store, consumer, engine, record };
}

test('whoever lets a failed consumer go on has it tried at once, and its waits begin anew', async () => {
  await using stage = new Stage();
  const { consumer, engine, record } = await failing(stage);
  expect(record()?.attempt).toBeGreaterThan(3);
  const { attempts } = consumer;
  await engine.reactivate('a');
  await settled();
  expect([consumer.attempts - attempts, record()?.attempt]).toEqual([1, 1]);
  await stage.advance(1_000);
  expect([consumer.attempts - attempts, record()?.attempt]).toEqual([2, 2]);
});

test('a consumer that failed and is paused is tried no more, wakes nobody, and has no error', async () => {
  await using stage = new Stage();
  const { source, consumer, engine, record } = await failing(stage);
  await engine.pause('a');
  const { attempts } = consumer;
  const { heads } = source;
  await stage.advance(600_000);
  expect([consumer.attempts, record()?.error]).toEqual([attempts, undefined]);
  expect(source.heads - heads).toBeLessThanOrEqual(2);
});

test('a clock that is set back delays no retry by more than the longest wait', async () => {
  await using stage = new Stage();
  let setBackMs = 0;
  const real = stage.clock;
  const clock: Clock = {
    now: () => real.now(),
    wallNow: () => real.wallNow() - setBackMs,
    after: (ms, fn) => real.after(ms, fn),
    every: (ms, fn) => real.every(ms, fn),
    random: () => real.random(),
    id: () => real.id(),
    afterIo: (fn) => real.afterIo(fn),
  };
  const { consumer, record } = await failing(stage, clock);
  setBackMs = 86_400_000;
  consumer.isBroken = false;
  await stage.advance(60_000);
  expect(record()).toMatchObject({ status: 'active', attempt: 0 });
});

test.each(['paused', 'error'] as const)(
  'a consumer that was %s is that again after it was detached',
  async (status) => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const store = new MemoryCheckpointStore();
    const handle = () => {
      if (status === 'error') throw new Error('no');
    };
    const withIt = () => stage.engine({ source, store, consumers: [{ id: 'a', handle }] });
    const record = () => store.load('default', 'a');
    const first = withIt();
    await first.boot();
    source.append(1);
    await first.run();
    if (status === 'paused') await first.pause('a');
    const { error } = record() ?? {};
    expect(record()).toMatchObject({ status, before: 'active' });
    await stage.engine({ source, store, consumers: [] }).run();
    expect(record()).toMatchObject({ status: 'detached', before: status });
    const second = withIt();
    await second.run();
    expect(record()).toMatchObject({ status, before: 'active', ...(error !== undefined && { error }) });
    await second.reactivate('a');
    expect(record()).toMatchObject({ status: 'active', before: undefined });
  },
);
