import { expect, test } from 'vitest';
import { InvalidArgumentError, NotAuthorizedError, ReachedTimeoutError, WatchClosedError } from '../../watch/errors.ts';
import { mirrorTopic } from '../../watch/mirrorTopic.ts';
import { watch } from '../../watch/watch.ts';
import { serveDocs } from './support/served.ts';

const numbersIn = (source: { read: ReturnType<typeof mirrorTopic<{ n: number }>>['read'] }): number[] => {
  const outcome = source.read(undefined, 100);
  return outcome.kind === 'events' ? outcome.events.map(({ event }) => event.n) : [];
};

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

test('from the start it has what the topic still holds, or begins at the head with a gap before it', async () => {
  const served = await serveDocs({ keep: 3 });
  const { client } = served.client();
  for (const n of [1, 2]) served.publish(n);
  const whole = mirrorTopic(client.docs.changes, { from: 'start', clock: served.h.clock });
  await served.h.settled();
  expect(numbersIn(whole)).toEqual([1, 2]);
  for (const n of [3, 4]) served.publish(n);
  const late = mirrorTopic(client.docs.changes, { from: 'start', clock: served.h.clock });
  await served.h.settled();
  expect([numbersIn(late), late.head()]).toEqual([[], served.topic.head()]);
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

test('one that is refused says so, and whoever waits for it is told', async () => {
  const served = await serveDocs({ authorize: () => false });
  const { client } = served.client();
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  const ready = expect(mirror.ready()).rejects.toThrow(NotAuthorizedError);
  await served.h.settled();
  await ready;
  expect([mirror.state, mirror.error?.code]).toEqual(['refused', 'NOT_AUTHORIZED']);
  mirror.close();
  await served.stop();
  await served.h[Symbol.asyncDispose]();
});

test('waiting ends in time, and with the mirror', async () => {
  const served = await serveDocs();
  const { client, transport } = served.client();
  served.h.link.setReachable(false);
  const mirror = mirrorTopic(client.docs.changes, { clock: served.h.clock });
  const late = expect(mirror.ready({ timeoutMs: 1_000 })).rejects.toThrow(ReachedTimeoutError);
  const closed = expect(mirror.ready()).rejects.toThrow(WatchClosedError);
  await served.h.advance(1_000);
  await late;
  mirror.close();
  await closed;
  await expect(mirror.ready()).rejects.toThrow(WatchClosedError);
  transport.close();
  expect(() => mirrorTopic(client.docs.changes, { resyncMs: 0 })).toThrow(InvalidArgumentError);
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
