import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import type { ErrorPayload } from '../../router/errors.ts';
import { ReadableQueue } from '../../router/readable.ts';
import { Err, Ok } from '../../router/result.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { transportNames } from '../../testUtil/links.ts';
import type { TopicClient } from '../../watch/attempt.ts';
import type { TopicMessage, TopicRequest } from '../../watch/messages.ts';
import { createTopic } from '../../watch/topic.ts';
import { type DeltaMode, type NotificationMode, watch } from '../../watch/watch.ts';
import type { Watch } from '../../watch/watchCore.ts';
import { quietClock } from './support/clock.ts';
import { DocEvent } from './support/served.ts';

type Message = TopicMessage<DocEvent>;

/** A subscription whose server is the test. */
class Scripted implements TopicClient<DocEvent> {
  readonly attempts: { request: TopicRequest; queue: ReadableQueue<Message, ErrorPayload>; isBroken: boolean }[] = [];

  subscribe(request: TopicRequest) {
    const attempt = {
      request,
      queue: new ReadableQueue<Message, ErrorPayload>(undefined, () => {
        attempt.isBroken = true;
      }),
      isBroken: false,
    };
    this.attempts.push(attempt);
    return { resReadable: attempt.queue };
  }

  say(message: Message, attempt = this.attempts.length - 1): void {
    this.attempts[attempt]?.queue.push(Ok(message));
  }

  ready(offset: number, isRecovered = false, epoch = 'E'): void {
    this.say({ type: 'ready', position: { epoch, offset }, isRecovered });
  }

  events(from: number, to = from, attempt?: number): void {
    const events = [];
    for (let offset = from; offset <= to; offset++) events.push({ offset, event: { key: 'a', n: offset } });
    this.say({ type: 'events', epoch: 'E', through: to, events }, attempt);
  }

  fail(code = 'UNEXPECTED_DISCONNECT'): void {
    this.attempts.at(-1)?.queue.push(Err({ code, message: 'the server is gone' }));
    this.attempts.at(-1)?.queue.close();
  }
}

interface Load<T> {
  resolve(value: T): void;
  reject(error: Error): void;
  signal: AbortSignal;
  reason: string;
}

/** A load whose answers the test gives. */
function loads<T>() {
  const made: Load<T>[] = [];
  const load = ({ signal, reason }: { signal: AbortSignal; reason: string }) =>
    new Promise<T>((resolve, reject) => made.push({ resolve, reject, signal, reason }));
  return { made, load, last: () => made.at(-1) };
}

const at = (offset: number, epoch = 'E') => ({ epoch, offset });
const settle = () => quietClock().advance(0);

async function notified(options: Partial<NotificationMode<string>> = {}) {
  const clock = quietClock();
  const source = new Scripted();
  const { made, load, last } = loads<string>();
  const watched: Watch<string> = watch(source, { load, clock, resyncMs: Number.POSITIVE_INFINITY, ...options });
  await settle();
  return { clock, source, made, last, watched };
}

async function folded(options: Partial<DeltaMode<DocEvent, number[]>> = {}) {
  const clock = quietClock();
  const source = new Scripted();
  const { made, load, last } = loads<{ value: number[]; position: { epoch: string; offset: number } }>();
  const watched: Watch<number[]> = watch<DocEvent, number[]>(source, {
    load,
    apply: (value, { n }) => [...value, n],
    clock,
    resyncMs: Number.POSITIVE_INFINITY,
    ...options,
  });
  await settle();
  return { clock, source, made, last, watched };
}

describe('a watch that is notified', () => {
  test('subscribes first, and loads once the subscription stands', async () => {
    const { source, made, watched, last } = await notified();
    expect(source.attempts.map(({ request }) => request)).toEqual([{}]);
    expect([made.length, watched.state]).toEqual([0, 'connecting']);
    source.ready(7);
    await settle();
    expect([made.length, watched.state, last()?.reason]).toEqual([1, 'loading', 'first']);
    last()?.resolve('one');
    await settle();
    expect([watched.value, watched.state, watched.position]).toEqual(['one', 'live', at(7)]);
    watched.dispose();
  });

  test('an event between subscribe and load makes the load that began before it not enough', async () => {
    const { source, made, watched, last } = await notified();
    source.ready(0);
    source.events(1);
    await settle();
    expect(made).toHaveLength(1);
    last()?.resolve('before');
    await settle();
    expect([watched.value, watched.state, watched.position, made.length]).toEqual(['before', 'loading', at(0), 2]);
    last()?.resolve('after');
    await settle();
    expect([watched.value, watched.state, watched.position]).toEqual(['after', 'live', at(1)]);
    watched.dispose();
  });

  test('a thousand changes during one load cause exactly one more', async () => {
    const { source, made, watched, last } = await notified();
    source.ready(0);
    await settle();
    for (let n = 1; n <= 1000; n++) source.events(n);
    await settle();
    expect(made).toHaveLength(1);
    last()?.resolve('first');
    await settle();
    expect(made).toHaveLength(2);
    last()?.resolve('second');
    await settle();
    expect(made).toHaveLength(2);
    expect(watched.stats).toMatchObject({ loads: 2, events: 1000, failedLoads: 0 });
    expect([watched.value, watched.position]).toEqual(['second', at(1000)]);
    watched.dispose();
  });

  test('resubscribes since its position when the session died, and loads nothing if nothing was missed', async () => {
    const { source, made, watched, last, clock } = await notified();
    source.ready(0);
    await settle();
    last()?.resolve('one');
    source.events(1, 3);
    await settle();
    last()?.resolve('two');
    await settle();
    last()?.resolve('three');
    await settle();
    const before = made.length;
    source.fail();
    await settle();
    expect([watched.state, source.attempts.length]).toEqual(['stale', 1]);
    expect(watched.error).toMatchObject({ code: 'UNEXPECTED_DISCONNECT' });
    expect([watched.error instanceof Error, String(watched.error)]).toEqual([true, 'CallError: the server is gone']);
    await clock.advance(200);
    expect(source.attempts.at(-1)?.request).toEqual({ since: at(3) });
    source.ready(3, true);
    await settle();
    expect([watched.state, watched.error, made.length]).toEqual(['live', undefined, before]);
    expect(watched.stats).toMatchObject({ resubscribes: 1, unrecoveredResubscribes: 0, resets: 0 });
    watched.dispose();
  });

  test.each([
    ['in the same epoch', 'E'],
    ['with another epoch', 'F'],
  ])('a gap %s is one reset and one load', async (_what, epoch) => {
    const { source, made, watched, last, clock } = await notified();
    source.ready(0);
    await settle();
    last()?.resolve('one');
    await settle();
    source.fail();
    await clock.advance(200);
    source.ready(50, false, epoch);
    await settle();
    expect([watched.state, made.length, last()?.reason]).toEqual(['loading', 2, 'reset']);
    last()?.resolve('two');
    await settle();
    expect([watched.value, watched.state, watched.position]).toEqual(['two', 'live', at(50, epoch)]);
    expect(watched.stats).toMatchObject({ loads: 2, resets: 1, resubscribes: 1, unrecoveredResubscribes: 1 });
    watched.dispose();
  });

  test('a load that runs when something was missed is given up, and what it gives is not believed', async () => {
    const { source, made, watched, last } = await notified();
    source.ready(0);
    await settle();
    source.say({ type: 'reset', position: at(9) });
    await settle();
    expect([made.length, made[0]?.signal.aborted]).toEqual([1, true]);
    made[0]?.resolve('old');
    await settle();
    expect([watched.value, made.length]).toEqual([undefined, 2]);
    last()?.resolve('new');
    await settle();
    expect([watched.value, watched.state, made.length]).toEqual(['new', 'live', 2]);
    watched.dispose();
  });

  test('what an older attempt still delivers is ignored', async () => {
    const { source, made, watched, last, clock } = await notified({ resyncMs: 1000 });
    source.ready(0);
    await settle();
    last()?.resolve('one');
    await clock.advance(1250);
    expect(source.attempts).toHaveLength(2);
    expect(source.attempts[0]?.isBroken).toBe(true);
    source.ready(0, true);
    await settle();
    last()?.resolve('two');
    await settle();
    const { length } = made;
    source.events(1, 1, 0);
    source.say({ type: 'reset', position: at(99) }, 0);
    await settle();
    expect([made.length, watched.stats.events, watched.stats.resets, watched.position]).toEqual([length, 0, 0, at(0)]);
    watched.dispose();
  });

  test('a resync bounds staleness although the server forgot the watcher', async () => {
    const { source, watched, last, clock } = await notified({ resyncMs: 1000 });
    source.ready(0);
    await settle();
    last()?.resolve('one');
    // The server says nothing any more; the subscription stays as it is.
    await clock.advance(700);
    expect(watched.stats.resyncs).toBe(0);
    await clock.advance(550);
    expect(watched.stats.resyncs).toBe(1);
    expect([watched.state, watched.stats.loads]).toEqual(['live', 1]);
    expect(source.attempts.at(-1)?.request).toEqual({ since: at(0) });
    source.ready(0, true);
    await settle();
    expect([last()?.reason, watched.state]).toEqual(['resync', 'live']);
    last()?.resolve('two');
    await settle();
    expect(watched.value).toBe('two');
    watched.dispose();
    expect(clock.pendingTimers).toBe(0);
  });

  test('a load that fails is made again, later and later; the old value stays, and the state says so', async () => {
    const { source, made, watched, last, clock } = await notified();
    source.ready(0);
    await settle();
    last()?.resolve('one');
    source.events(1);
    await settle();
    last()?.reject(new Error('disk'));
    await settle();
    last()?.reject(new Error('disk'));
    await settle();
    expect([watched.state, watched.value, watched.stats.failedLoads]).toEqual(['stale', 'one', 1]);
    expect(watched.error).toMatchObject({ message: 'disk' });
    const { length } = made;
    await clock.advance(99);
    expect(made).toHaveLength(length);
    await clock.advance(101);
    expect([made.length, last()?.reason]).toEqual([length + 1, 'retry']);
    last()?.resolve('two');
    await settle();
    expect([watched.state, watched.value, watched.error]).toEqual(['live', 'two', undefined]);
    watched.dispose();
  });

  test('why it is not live is said of loads and of the subscription, each until it works', async () => {
    const { source, watched, last, clock } = await notified();
    source.ready(0);
    await settle();
    last()?.reject(new Error('disk'));
    await settle();
    expect([watched.state, watched.error]).toMatchObject(['loading', { message: 'disk' }]);
    await clock.advance(200);
    source.fail();
    await settle();
    last()?.resolve('one');
    await settle();
    expect([watched.value, watched.state]).toEqual(['one', 'stale']);
    expect(watched.error).toMatchObject({ code: 'UNEXPECTED_DISCONNECT' });
    await clock.advance(200);
    source.ready(0, true);
    await settle();
    expect([watched.state, watched.error]).toEqual(['live', undefined]);
    watched.dispose();
  });

  test('a load that hangs is given up and made again', async () => {
    const { source, made, watched, clock } = await notified({ loadTimeoutMs: 500 });
    source.ready(0);
    await clock.advance(500);
    expect(made[0]?.signal.aborted).toBe(true);
    expect(watched.error).toMatchObject({ code: 'LOAD_TIMEOUT' });
    await clock.advance(200);
    expect(made).toHaveLength(2);
    made[0]?.resolve('late');
    await settle();
    expect(watched.value).toBeUndefined();
    watched.dispose();
  });

  test('attempts that fail wait longer each time, at most 15 s, and never stop', async () => {
    const { source, watched, clock } = await notified();
    for (let n = 1; n <= 12; n++) {
      source.fail();
      const before = source.attempts.length;
      await clock.advance(Math.min(15_000, 200 * 2 ** (n - 1)) / 2 - 1);
      expect(source.attempts).toHaveLength(before);
      await clock.advance(Math.min(15_000, 200 * 2 ** (n - 1)) / 2 + 1);
      expect(source.attempts).toHaveLength(before + 1);
    }
    expect([watched.state, watched.stats.resubscribes]).toEqual(['connecting', 0]);
    watched.dispose();
    expect(clock.pendingTimers).toBe(0);
  });

  test('a subscription that simply ends, or cannot even be asked for, is begun again', async () => {
    const { source, watched, clock } = await notified();
    source.ready(0);
    source.attempts.at(-1)?.queue.close();
    await clock.advance(200);
    expect(source.attempts).toHaveLength(2);
    watched.dispose();
    let asked = 0;
    const broken = watch(
      {
        subscribe() {
          asked += 1;
          throw new Error('cannot be encoded');
        },
      },
      { load: () => 1, clock },
    );
    await clock.advance(200);
    expect(asked).toBe(2);
    broken.dispose();
  });

  test('a message out of order ends the attempt', async () => {
    const { source, watched, clock } = await notified();
    source.events(1);
    await settle();
    expect(watched.error).toMatchObject({ code: 'UNEXPECTED_MESSAGE', message: 'expected ready, got events' });
    expect(source.attempts[0]?.isBroken).toBe(true);
    await clock.advance(200);
    expect(source.attempts).toHaveLength(2);
    watched.dispose();
  });

  test('a refusal is final: nothing is asked again, and whoever waits hears of it', async () => {
    const { source, watched, clock } = await notified();
    source.ready(0);
    await settle();
    const reached = expect(watched.reached(at(5))).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    const iterated = expect(watched[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    source.fail('NOT_AUTHORIZED');
    await clock.advance(100_000);
    await Promise.all([reached, iterated]);
    expect([watched.state, source.attempts.length, clock.pendingTimers]).toEqual(['refused', 1, 0]);
    expect(watched.error).toMatchObject({ code: 'NOT_AUTHORIZED' });
    watched.dispose();
    expect(watched.state).toBe('closed');
  });

  test('goes on from a saved value without a load if nothing was missed', async () => {
    const { source, made, watched } = await notified({ since: { value: 'saved', position: at(5) } });
    expect(source.attempts[0]?.request).toEqual({ since: at(5) });
    expect([watched.value, watched.state]).toEqual(['saved', 'stale']);
    source.ready(5, true);
    await settle();
    expect([watched.state, made.length]).toEqual(['live', 0]);
    source.events(6);
    await settle();
    expect(made).toHaveLength(1);
    watched.dispose();
  });
});

describe('waiting and iterating', () => {
  test('reached resolves when the value holds the position, which the event alone does not', async () => {
    const { source, watched, last } = await notified();
    source.ready(0);
    await settle();
    last()?.resolve('one');
    await settle();
    let isReached = false;
    void watched.reached(at(1)).then(() => {
      isReached = true;
    });
    source.events(1);
    await settle();
    expect(isReached).toBe(false);
    last()?.resolve('two');
    await settle();
    expect(isReached).toBe(true);
    watched.dispose();
  });

  test('a filtered subscription reaches a position by progress', async () => {
    const { source, made, watched, last } = await notified();
    source.ready(0);
    await settle();
    const reached = watched.reached(at(8));
    last()?.resolve('one');
    await settle();
    source.say({ type: 'progress', position: at(8) });
    await reached;
    expect([made.length, watched.position]).toEqual([1, at(8)]);
    watched.dispose();
  });

  test('reached gives up in time, and when the history is another one; a position of the next is waited for', async () => {
    const { source, watched, last, clock } = await notified();
    source.ready(0);
    await settle();
    last()?.resolve('one');
    await settle();
    const late = expect(watched.reached(at(1), { timeoutMs: 10 })).rejects.toMatchObject({ code: 'REACHED_TIMEOUT' });
    await clock.advance(10);
    await late;
    const old = expect(watched.reached(at(1))).rejects.toMatchObject({ code: 'OTHER_EPOCH' });
    const next = watched.reached(at(3, 'F'));
    source.say({ type: 'reset', position: at(3, 'F') });
    await settle();
    last()?.resolve('two');
    await Promise.all([old, next]);
    const closed = expect(watched.reached(at(9, 'F'))).rejects.toMatchObject({ code: 'WATCH_CLOSED' });
    watched.dispose();
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });

  test('iteration gives the newest value and keeps none for the slow', async () => {
    const { source, watched, last } = await folded();
    source.ready(0);
    await settle();
    last()?.resolve({ value: [], position: at(0) });
    await settle();
    const iterator = watched[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: [] });
    for (let n = 1; n <= 50; n++) source.events(n);
    await settle();
    expect((await iterator.next()).value).toHaveLength(50);
    const next = iterator.next();
    source.events(51);
    expect((await next).value).toHaveLength(51);
    const pending = iterator.next();
    watched.dispose();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('those who listen hear of values and states, and one who throws harms nobody', async () => {
    const { source, watched, last } = await notified();
    const seen: string[] = [];
    watched.onChange(() => {
      throw new Error('my own affair');
    });
    const stop = watched.onChange(() => seen.push(`${watched.state} ${watched.value}`));
    source.ready(0);
    await settle();
    last()?.resolve('one');
    await settle();
    source.events(1);
    await settle();
    last()?.resolve('two');
    await settle();
    source.fail();
    await settle();
    stop();
    watched.dispose();
    expect(seen).toEqual(['loading undefined', 'live one', 'loading one', 'live two', 'stale two']);
  });
});

describe('a watch of deltas', () => {
  test('applies only what is newer than its load, in order, once', async () => {
    const { source, made, watched, last } = await folded();
    source.ready(3);
    source.events(4, 6);
    await settle();
    last()?.resolve({ value: [1, 2, 3, 4, 5], position: at(5) });
    await settle();
    expect([watched.value, watched.position, watched.state]).toEqual([[1, 2, 3, 4, 5, 6], at(6), 'live']);
    source.events(7);
    source.say({ type: 'progress', position: at(9) });
    await settle();
    expect([watched.value?.at(-1), watched.position, made.length]).toEqual([7, at(9), 1]);
    watched.dispose();
  });

  test('a load that is ahead of the events is not applied to twice', async () => {
    const { source, watched, last } = await folded();
    source.ready(0);
    await settle();
    last()?.resolve({ value: [1, 2, 3], position: at(3) });
    await settle();
    expect(watched.position).toEqual(at(3));
    source.events(1, 2);
    source.events(3, 4);
    await settle();
    expect([watched.value, watched.position]).toEqual([[1, 2, 3, 4], at(4)]);
    watched.dispose();
  });

  test('a load from before the subscription is not enough, nor one of another epoch, nor none', async () => {
    const { source, made, watched, clock } = await folded();
    source.ready(5);
    await settle();
    const wrong: [unknown, string][] = [
      [{ value: [], position: at(4) }, 'expected a load from 5 of epoch E or later, got 4 of epoch E'],
      [{ value: [], position: at(9, 'F') }, 'expected a load of epoch E, got 9 of epoch F'],
      [{ value: [] }, 'expected load to give { value, position }, got no position'],
      [undefined, 'expected load to give { value, position }, got no position'],
    ];
    for (const [result, message] of wrong) {
      made.at(-1)?.resolve(result as never);
      await settle();
      expect(watched.error).toMatchObject({ code: 'UNUSABLE_LOAD', message });
      await clock.advance(2000);
    }
    expect([watched.value, made.length]).toEqual([undefined, 5]);
    made.at(-1)?.resolve({ value: [5], position: at(5) });
    await settle();
    expect([watched.value, watched.state]).toEqual([[5], 'live']);
    watched.dispose();
  });

  test('holds a bounded number of events while loading; one more, and it loads again', async () => {
    const { source, made, watched, last } = await folded({ maxHeldEvents: 3 });
    source.ready(0);
    await settle();
    for (let n = 1; n <= 10; n++) source.events(n);
    await settle();
    last()?.resolve({ value: [], position: at(0) });
    await settle();
    expect([watched.value, made.length]).toEqual([undefined, 2]);
    source.events(11);
    await settle();
    last()?.resolve({ value: [10], position: at(10) });
    await settle();
    expect([watched.value, made.length, watched.stats.failedLoads]).toEqual([[10, 11], 2, 0]);
    watched.dispose();
  });

  test('an event that cannot be applied makes it load', async () => {
    const apply = (value: number[], { n }: DocEvent) => {
      if (n === 2) throw new Error('no');
      return [...value, n];
    };
    const { source, made, watched, last } = await folded({ apply });
    source.ready(0);
    await settle();
    last()?.resolve({ value: [], position: at(0) });
    source.events(1);
    source.events(2);
    source.events(3);
    await settle();
    expect([watched.value, watched.state, made.length]).toEqual([[1], 'loading', 2]);
    last()?.resolve({ value: [1, 2, 3], position: at(3) });
    await settle();
    expect([watched.value, watched.state, watched.position]).toEqual([[1, 2, 3], 'live', at(3)]);
    watched.dispose();
  });

  test('is live while a resync loads, and nothing is applied twice or lost by it', async () => {
    const { source, watched, last, clock } = await folded({ resyncMs: 1000 });
    source.ready(0);
    await settle();
    last()?.resolve({ value: [], position: at(0) });
    source.events(1);
    await clock.advance(1250);
    source.ready(1, true);
    await settle();
    source.events(2, 3);
    await settle();
    expect([watched.state, watched.value, watched.stats.loads]).toEqual(['live', [1, 2, 3], 2]);
    last()?.resolve({ value: [1, 2], position: at(2) });
    source.events(4);
    await settle();
    expect(watched.value).toEqual([1, 2, 3, 4]);
    watched.dispose();
  });

  test('that is disposed of by what it applies leaves nothing, though that throws', async () => {
    const dispose: (() => void)[] = [];
    const apply = () => {
      for (const end of dispose) end();
      throw new Error('no');
    };
    const { source, watched, last, clock } = await folded({ apply });
    dispose.push(() => watched.dispose());
    source.ready(0);
    await settle();
    source.events(1);
    await settle();
    last()?.resolve({ value: [], position: at(0) });
    await settle();
    expect([watched.state, clock.pendingTimers]).toEqual(['closed', 0]);
  });

  test('says what is wrong with its options', () => {
    const clock = quietClock();
    const load = () => 1;
    const topic = createTopic({ event: DocEvent, clock });
    expect(() => watch(topic, { load, resyncMs: 0, clock })).toThrow('expected resyncMs of more than 0, got 0');
    expect(() => watch(topic, { load, loadTimeoutMs: Number.NaN, clock })).toThrow('expected loadTimeoutMs');
    expect(() => watch(topic, { load, keys: ['a'], clock })).toThrow('expected key beside keys');
    const many = Array.from({ length: 1_001 }, (_, n) => `${n}`);
    const remote = new Scripted();
    expect(() => watch(remote, { load, keys: many, clock })).toThrow('expected at most 1000 keys, got 1001');
    const long = ['x'.repeat(257)];
    expect(() => watch(remote, { load, keys: long, clock })).toThrow('at most 256 characters, got 257');
    expect(remote.attempts).toEqual([]);
    const deltas = { load: () => ({ value: 1, position: topic.head() }), apply: (value: number) => value, clock };
    expect(() => watch(topic, { ...deltas, maxHeldEvents: -1 })).toThrow('expected maxHeldEvents of 0 or more, got -1');
    expect(() => watch(topic, { ...deltas, maxHeldEvents: Number.NaN })).toThrow('expected maxHeldEvents');
  });
});

test('a topic in this process is watched like one elsewhere', async () => {
  const clock = quietClock();
  const topic = createTopic({ event: DocEvent, keep: { events: 400 }, clock });
  topic.publish({ key: 'a', n: 1 });
  const mine: Watch<number[]> = watch<DocEvent, number[]>(topic, {
    keys: ['a'],
    key: ({ key }) => key,
    load: () => ({ value: [], position: topic.head() }),
    apply: (value, { n }) => [...value, n],
    clock,
  });
  await clock.advance(0);
  for (let n = 2; n <= 300; n++) topic.publish({ key: n % 2 === 0 ? 'a' : 'b', n });
  await mine.reached(topic.head());
  expect(mine.value).toHaveLength(150);
  topic.publishAll(Array.from({ length: 500 }, (_, n) => ({ key: 'a', n })));
  await clock.advance(0);
  expect([mine.stats.resets, mine.stats.loads, mine.state]).toEqual([1, 2, 'live']);
  mine.dispose();
  topic.close();
  expect(clock.pendingTimers + clock.pendingIo).toBe(0);
});

test('a topic in this process that is watched no more while it is read leaves nothing', async () => {
  const clock = quietClock();
  const topic = createTopic({ event: DocEvent, clock });
  for (let n = 1; n <= 1_000; n++) topic.publish({ key: 'a', n });
  const watched: Watch<number> = watch<DocEvent, number>(topic, {
    since: { value: 0, position: { ...topic.head(), offset: 0 } },
    load: () => ({ value: 0, position: topic.head() }),
    apply: (value) => value + 1,
    clock,
  });
  let left: number | undefined;
  watched.onChange(() => {
    if (watched.value === 0) return;
    watched.dispose();
    left ??= clock.pendingTimers + clock.pendingIo;
  });
  await clock.advance(0);
  expect([watched.state, watched.value, left]).toEqual(['closed', 256, 0]);
  topic.close();
});

test('a topic in this process that cannot be read for a while is read on from where it was', async () => {
  let listeners = 0;
  const clock = quietClock();
  const topic = createTopic({ event: DocEvent, clock });
  let isBroken = false;
  const source = {
    head: () => topic.head(),
    read(...args: Parameters<typeof topic.read>) {
      if (isBroken) throw new Error('disk I/O error');
      return topic.read(...args);
    },
    onAppend(listener: () => void) {
      listeners += 1;
      const stop = topic.onAppend(listener);
      return () => {
        listeners -= 1;
        stop();
      };
    },
    reached: (...args: Parameters<typeof topic.reached>) => topic.reached(...args),
    close: () => topic.close(),
  };
  const watched = watch<DocEvent, number[]>(source, {
    load: () => ({ value: [], position: topic.head() }),
    apply: (value, { n }) => [...value, n],
    clock,
  });
  await clock.advance(0);
  isBroken = true;
  topic.publish({ key: 'a', n: 1 });
  await clock.advance(1_000);
  expect([watched.state, watched.error, listeners]).toMatchObject(['stale', { message: 'disk I/O error' }, 0]);
  isBroken = false;
  await clock.advance(15_000);
  expect([watched.value, watched.state, watched.stats.loads]).toEqual([[1], 'live', 1]);
  watched.dispose();
  topic.close();
  expect(clock.pendingTimers + clock.pendingIo).toBe(0);
});

describe.each(transportNames)('over %s', (transport) => {
  test.each([JsonCodec, MsgpackCodec])('a typed client is what a watch takes: $name', async (codec) => {
    const { ServedDocs } = await import('./support/served.ts');
    const h = await createHarness({ transport, codec });
    const topic = createTopic({ event: DocEvent, clock: h.clock });
    const served = new ServedDocs(h, topic, {});
    const { client } = served.client();
    let n = 0;
    const watched = watch(client.docs.changes, { load: () => n, clock: h.clock });
    await h.settled();
    n = served.publish(1);
    await h.settled();
    expect([watched.value, watched.state, watched.position]).toEqual([1, 'live', topic.head()]);
    watched.dispose();
    await served.stop();
    await h[Symbol.asyncDispose]();
  });
});
