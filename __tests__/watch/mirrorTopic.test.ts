import { expect, test } from 'vitest';
import type { ErrorPayload } from '../../router/errors.ts';
import { ReadableQueue } from '../../router/readable.ts';
import { Ok } from '../../router/result.ts';
import {
  BEGINNING,
  InvalidArgumentError,
  NotAuthorizedError,
  ReachedTimeoutError,
  WatchClosedError,
} from '../../watch/errors.ts';
import type { TopicMessage, TopicRequest } from '../../watch/messages.ts';
import { mirrorTopic } from '../../watch/mirrorTopic.ts';
import { watch } from '../../watch/watch.ts';
import { quietClock } from './support/clock.ts';
import { serveDocs } from './support/served.ts';

const numbersIn = (source: { read: ReturnType<typeof mirrorTopic<{ n: number }>>['read'] }): number[] => {
  const outcome = source.read(undefined, 100);
  return outcome.kind === 'events' ? outcome.events.map(({ event }) => event.n) : [];
};

const at = (offset: number) => ({ epoch: 'E', offset });

/** A topic elsewhere that says what the test has it say. */
function scripted() {
  const clock = quietClock();
  const attempts: { request: TopicRequest; queue: ReadableQueue<TopicMessage<number>, ErrorPayload> }[] = [];
  const subscribe = (request: TopicRequest) => {
    const queue = new ReadableQueue<TopicMessage<number>, ErrorPayload>();
    attempts.push({ request, queue });
    return { resReadable: queue };
  };
  const say = (message: TopicMessage<number>) => attempts.at(-1)?.queue.push(Ok(message));
  const events = (...offsets: number[]): TopicMessage<number> => {
    const through = offsets.at(-1) ?? 0;
    return { type: 'events', epoch: 'E', through, events: offsets.map((offset) => ({ offset, event: offset })) };
  };
  return { clock, attempts, client: { subscribe }, say, events };
}

test('a mirror has the events of a topic elsewhere, under its positions', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  served.publish(1);
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  expect(mirror.state).toBe('connecting');
  await served.h.settled();
  expect([mirror.state, mirror.head()]).toEqual(['live', served.topic.head()]);
  for (const n of [2, 3]) served.publish(n);
  await mirror.reached(served.topic.head(), { timeoutMs: 1_000 });
  expect(numbersIn(mirror)).toEqual([2, 3]);
  mirror.close();
  expect(mirror.state).toBe('closed');
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('from the start it has what the topic still holds, with a gap before it if that is not all', async () => {
  const served = await serveDocs({ keep: 3 });
  const { client } = served.client();
  for (const n of [1, 2]) served.publish(n);
  const whole = mirrorTopic(client.docs.changes, { from: 'start', clock: served.h.clock });
  await served.h.settled();
  expect(numbersIn(whole)).toEqual([1, 2]);
  for (const n of [3, 4]) served.publish(n);
  const late = mirrorTopic(client.docs.changes, { from: 'start', clock: served.h.clock });
  await served.h.settled();
  expect([numbersIn(late), late.head()]).toEqual([[2, 3, 4], served.topic.head()]);
  expect(late.read({ ...served.topic.head(), offset: 0 }, 10).kind).toBe('gap');
  for (const mirror of [whole, late]) mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('it begins after the lowest position that its readers have seen, and is ready at the highest', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  for (const n of [1, 2, 3]) served.publish(n);
  const { epoch } = served.topic.head();
  const at = (offset: number) => ({ epoch, offset });
  const seen = [at(3), undefined, at(1), { epoch: 'another', offset: 9 }];
  const mirror = mirrorTopic(client.docs.changes, { seen, clock: served.h.clock });
  let headThen = at(0);
  const ready = mirror.ready().then(() => {
    headThen = mirror.head();
  });
  await served.h.settled();
  await ready;
  expect([headThen, numbersIn(mirror)]).toEqual([at(3), [2, 3]]);
  expect(mirror.read(at(0), 10).kind).toBe('gap');
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('a reader that is far behind costs the others nothing that the topic still holds', async () => {
  const served = await serveDocs({ keep: 3, batch: 1 });
  const { client } = served.client();
  for (let n = 1; n <= 9; n++) served.publish(n);
  const at = (offset: number) => ({ ...served.topic.head(), offset });
  const mirror = mirrorTopic(client.docs.changes, { seen: [at(2), at(8)], clock: served.h.clock });
  const heads: number[] = [];
  mirror.onAppend(() => heads.push(mirror.head().offset));
  const ready = mirror.ready().then(() => mirror.head().offset);
  await served.h.settled();
  expect(await ready).toBe(9);
  expect(numbersIn(mirror)).toEqual([7, 8, 9]);
  expect(mirror.read(at(2), 10)).toMatchObject({ kind: 'gap', oldest: at(6), head: at(9) });
  expect(mirror.read(at(8), 10)).toMatchObject({ kind: 'events', events: [{ event: { n: 9 } }] });
  expect(heads).toEqual([6, 9]);
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('what follows a gap is there with the gap and not before, though the connection is lost while it comes', async () => {
  const { clock, attempts, client, say, events } = scripted();
  const mirror = mirrorTopic(client, { seen: [at(1)], clock, resyncMs: Number.POSITIVE_INFINITY });
  let isReady = false;
  void mirror.ready().then(() => {
    isReady = true;
  });
  say({ type: 'ready', position: at(3), isRecovered: false, head: at(6) });
  say(events(4));
  attempts.at(-1)?.queue.close();
  await clock.advance(200);
  say({ type: 'ready', position: at(4), isRecovered: true, head: at(7) });
  say(events(5));
  await clock.advance(0);
  expect([isReady, mirror.head().epoch === 'E']).toEqual([false, false]);
  say(events(6, 7));
  await clock.advance(0);
  expect([isReady, mirror.read(at(3), 9)]).toMatchObject([true, { events: [4, 5, 6, 7].map((event) => ({ event })) }]);
  expect(mirror.read(at(1), 9)).toEqual({ kind: 'gap', oldest: at(3), head: at(7) });
  expect(attempts.map(({ request }) => request)).toEqual([
    { since: at(1), from: 'oldest' },
    { since: at(4), from: 'oldest' },
  ]);
  // Another gap, of which something is missing while it comes.
  attempts.at(-1)?.queue.close();
  await clock.advance(400);
  say({ type: 'ready', position: at(20), isRecovered: false, head: at(25) });
  say(events(21));
  say({ type: 'reset', position: at(30) });
  say(events(31));
  await clock.advance(0);
  expect(mirror.read(at(21), 9)).toEqual({ kind: 'gap', oldest: at(30), head: at(31) });
  mirror.close();
  expect(clock.pendingTimers).toBe(0);
});

test('who has come further by another mirror has missed nothing; where it was said to be before the mirror began, it has', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  for (const n of [1, 2]) served.publish(n);
  const { epoch } = served.topic.head();
  const at = (offset: number) => ({ epoch, offset });
  const { clock } = served.h;
  const [knowing, lost, asking] = [
    mirrorTopic(client.docs.changes, { seen: [undefined], from: 'start', clock }),
    mirrorTopic(client.docs.changes, { seen: [at(5)], from: 'start', clock }),
    mirrorTopic(client.docs.changes, { from: 'start', clock }),
  ];
  await served.h.settled();
  expect(knowing.head()).toEqual(at(2));
  // Another process was told of two more, and has handled them.
  expect(knowing.read(at(4), 10)).toEqual({ kind: 'events', events: [] });
  expect([lost, asking].map((mirror) => mirror.read(at(4), 10).kind)).toEqual(['gap', 'gap']);
  expect(knowing.read({ epoch: 'another', offset: 4 }, 10).kind).toBe('gap');
  for (const n of [3, 4, 5]) served.publish(n);
  await knowing.reached(at(5), { timeoutMs: 1_000 });
  expect(knowing.read(at(4), 10)).toMatchObject({ kind: 'events', events: [{ position: at(5), event: { n: 5 } }] });
  for (const mirror of [knowing, lost, asking]) mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test.each([
  ['what came by it', undefined, 5],
  ['what its readers had seen when it began', at(9), 9],
])(
  'after a topic was rolled back %s is remembered: beyond its end it is a gap, and not what is still to come',
  async (_what, seen, furthest) => {
    const { clock, attempts, client, say, events } = scripted();
    const mirror = mirrorTopic(client, { seen: [seen], from: 'start', clock, resyncMs: Number.POSITIVE_INFINITY });
    say({ type: 'ready', position: at(0), isRecovered: seen === undefined, head: at(5) });
    say(events(1, 2, 3, 4, 5));
    await clock.advance(0);
    expect(mirror.head()).toEqual(at(5));
    attempts.at(-1)?.queue.close();
    await clock.advance(200);
    expect(attempts.at(-1)?.request.since).toEqual(at(5));
    await expect(mirror.readFromOrigin(at(0), 9)).rejects.toThrow(
      'expected a mirror that is live, got one that is lost',
    );
    say({ type: 'ready', position: at(0), isRecovered: false, head: at(2) });
    say(events(1, 2));
    await clock.advance(0);
    for (const offset of [3, 5, furthest])
      expect(mirror.read(at(offset), 9)).toEqual({ kind: 'gap', oldest: at(0), head: at(2) });
    // Another process may have been told of more since.
    expect(mirror.read(at(furthest + 1), 9)).toEqual({ kind: 'events', events: [] });
    // By now there may be something else where it was: the topic is asked for its beginning only.
    const asked = mirror.readFromOrigin(at(furthest), 9);
    await clock.advance(0);
    expect(attempts.at(-1)?.request).toEqual({ since: at(0), from: 'oldest' });
    say({ type: 'ready', position: at(0), isRecovered: true, head: at(99) });
    say(events(1, 2, 3));
    expect(await asked).toEqual({ kind: 'gap', oldest: at(0), head: at(2) });
    mirror.close();
    expect(clock.pendingTimers).toBe(0);
  },
);

test('a topic that was rolled back to before what its readers have seen is ready where it ends', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  for (const n of [1, 2, 3]) served.publish(n);
  const at = (offset: number) => ({ ...served.topic.head(), offset });
  const mirror = mirrorTopic(client.docs.changes, { seen: [at(1), at(9)], clock: served.h.clock });
  const ready = mirror.ready({ timeoutMs: 1_000 }).then(() => mirror.head().offset);
  await served.h.settled();
  expect(await Promise.race([ready, 'not yet'])).toBe(3);
  expect(mirror.read(at(9), 10).kind).toBe('gap');
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('where what its readers have seen is of another history it is ready with a gap', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  served.publish(1);
  const mirror = mirrorTopic(client.docs.changes, { seen: [{ epoch: 'gone', offset: 7 }], clock: served.h.clock });
  await served.h.settled();
  await mirror.ready({ timeoutMs: 0 });
  expect(mirror.head()).toEqual(served.topic.head());
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('where the topic says that something is missing, the mirror has a gap', async () => {
  const served = await serveDocs({ maxEventBytes: 1_000 });
  const { client } = served.client();
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  await served.h.settled();
  const before = mirror.head();
  served.publish(1);
  served.topic.publish({ key: 'a', n: 2, text: 'x'.repeat(2_000) });
  served.publish(3);
  await served.h.settled();
  expect(mirror.read(before, 10).kind).toBe('gap');
  expect([numbersIn(mirror), mirror.head()]).toEqual([[3], served.topic.head()]);
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('one that is refused says so, whoever waits for it is told, and nobody is asked again', async () => {
  let asked = 0;
  const authorize = () => {
    asked += 1;
    return false;
  };
  const served = await serveDocs({ authorize });
  const { client } = served.client();
  const mirror = mirrorTopic(client.docs.changes, { resyncMs: 1_000, clock: served.h.clock });
  const ready = expect(mirror.ready()).rejects.toThrow(NotAuthorizedError);
  await served.h.settled();
  await ready;
  await served.h.advance(5_000);
  expect([mirror.state, mirror.error?.code, asked]).toEqual(['refused', 'NOT_AUTHORIZED', 1]);
  expect(String(mirror.error)).toBe('CallError: you may not follow this, or not any more');
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('waiting ends in time, and with the mirror', async () => {
  const served = await serveDocs();
  const { client, transport } = served.client();
  served.h.link.setReachable(false);
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  const late = expect(mirror.ready({ timeoutMs: 1_000 })).rejects.toThrow(
    new ReachedTimeoutError(BEGINNING, undefined, 1_000),
  );
  const leaving = new AbortController();
  const given = expect(mirror.ready({ signal: leaving.signal })).rejects.toThrow(
    'waiting for the beginning was given up',
  );
  leaving.abort();
  await given;
  const closed = expect(mirror.ready()).rejects.toThrow(WatchClosedError);
  await served.h.advance(1_000);
  await late;
  expect(new ReachedTimeoutError(BEGINNING, undefined, 1_000).message).toBe(
    'the beginning was not reached within 1000 ms: nothing was seen yet',
  );
  mirror.close();
  await closed;
  await expect(mirror.ready()).rejects.toThrow(WatchClosedError);
  transport.close();
  expect(() => mirrorTopic(client.docs.changes, { resyncMs: 0 })).toThrow(InvalidArgumentError);
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('its error is why it is lost, and nothing once it is not', async () => {
  const served = await serveDocs();
  const { client, transport } = served.client();
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  await served.h.settled();
  transport.hardDisconnect();
  await served.h.settled();
  expect([mirror.state, mirror.error?.code]).toEqual(['lost', 'UNEXPECTED_DISCONNECT']);
  expect(String(mirror.error)).toMatch(/^CallError: .*session/);
  await served.h.advance(5_000);
  expect([mirror.state, mirror.error]).toEqual(['live', undefined]);
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('a server that has forgotten it is asked again by and by', async () => {
  const served = await serveDocs();
  const { client } = served.client();
  const mirror = mirrorTopic(client.docs.changes, { resyncMs: 10_000, clock: served.h.clock });
  await served.h.settled();
  served.forgetWatchers();
  served.publish(1);
  await served.h.settled();
  expect(numbersIn(mirror)).toEqual([]);
  await served.h.advance(15_000);
  expect(numbersIn(mirror)).toEqual([1]);
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('whoever is in the same process follows it as it would the topic', async () => {
  const served = await serveDocs();
  const mirror = mirrorTopic(served.client().client.docs.changes, { clock: served.h.clock });
  await served.h.settled();
  const seen: number[] = [];
  const watched = watch<{ key: string; n: number }, number>(mirror, {
    load: () => ({ value: 0, position: mirror.head() }),
    apply: (sum, { n }) => {
      seen.push(n);
      return sum + n;
    },
    clock: served.h.clock,
  });
  await served.h.settled();
  for (const n of [1, 2]) served.publish(n);
  await watched.reached(served.topic.head(), { timeoutMs: 1_000 });
  expect([watched.value, seen]).toEqual([3, [1, 2]]);
  watched.dispose();
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});
