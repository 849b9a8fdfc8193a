import { expect, test } from 'vitest';
import type { TopicClient } from '../../watch/attempt.ts';
import { WatchClosedError } from '../../watch/errors.ts';
import { mirrorTopic } from '../../watch/mirrorTopic.ts';
import { watch } from '../../watch/watch.ts';
import { watchKeys } from '../../watch/watchKeys.ts';
import { type DocEvent, serveDocs } from './support/served.ts';

/** A watch of documents that nobody disposes of: leaving the test checks that it holds no timer. */
async function follow() {
  const served = await serveDocs();
  const { client, transport } = served.client();
  const options = { load: () => served.topic.head().offset, clock: served.h.clock };
  const start = () => watch<DocEvent, number>(client.docs.changes, options);
  const end = async () => {
    await served.stop();
    await served.h[Symbol.asyncDispose]();
  };
  return { served, client, transport, options, start, end };
}

const closed = 'transport client-1 was closed: following is not possible any more';

test('a watch ends with its transport, and says so to all who wait', async () => {
  const { served, transport, start, end } = await follow();
  const watched = start();
  await served.h.settled();
  const states: string[] = [];
  watched.onChange(() => states.push(watched.state));
  const iterator = watched[Symbol.asyncIterator]();
  expect((await iterator.next()).value).toBe(0);
  const waiting = iterator.next();
  const reached = expect(watched.reached({ ...served.topic.head(), offset: 9 })).rejects.toThrow(WatchClosedError);
  transport.close();
  expect([watched.state, watched.value]).toEqual(['closed', 0]);
  expect(watched.error).toMatchObject({ code: 'WATCH_CLOSED', message: closed });
  expect(await waiting).toEqual({ done: true, value: undefined });
  await reached;
  expect(states).toEqual(['closed']);
  watched.dispose();
  expect(watched.error).toMatchObject({ message: closed });
  await end();
});

test('so does one that waits to try again', async () => {
  const { served, transport, start, end } = await follow();
  const watched = start();
  await served.h.settled();
  await served.server.close();
  await served.h.settled();
  expect(watched.state).toBe('stale');
  transport.close();
  expect([watched.state, watched.stats.resubscribes]).toEqual(['closed', 0]);
  await end();
});

test('one that begins after the end of its transport has ended', async () => {
  const { transport, start, end } = await follow();
  transport.close();
  const watched = start();
  expect([watched.state, watched.value, watched.stats.loads]).toEqual(['closed', undefined, 0]);
  expect(watched.error).toMatchObject({ message: closed });
  await end();
});

test('watches of keys end with their transport, those too that come later', async () => {
  const { served, client, transport, options, end } = await follow();
  const group = watchKeys<DocEvent>(client.docs.changes, { key: ({ key }) => key, clock: served.h.clock });
  const [a, b] = [group.watch('a', options), group.watch('b', options)];
  await served.h.settled();
  transport.close();
  expect([a.state, b.state]).toEqual(['closed', 'closed']);
  const late = group.watch('c', options);
  await served.h.settled();
  expect([late.state, late.error]).toMatchObject(['closed', { message: closed }]);
  await end();
});

test('a watch that was disposed of hears nothing of its transport', async () => {
  const { served, transport, start, end } = await follow();
  const watched = start();
  await served.h.settled();
  watched.dispose();
  transport.close();
  expect([watched.state, watched.error]).toEqual(['closed', undefined]);
  await end();
});

test('of a procedure that no client made nobody knows the transport: a watch of it goes on trying', async () => {
  const { served, client, transport, options, end } = await follow();
  const { changes } = client.docs;
  let asked = 0;
  const own: TopicClient<DocEvent> = {
    subscribe: (init) => {
      asked += 1;
      return changes.subscribe(init);
    },
  };
  const watched = watch<DocEvent, number>(own, options);
  await served.h.settled();
  transport.close();
  await served.h.settled();
  expect([watched.state, asked]).toEqual(['stale', 1]);
  await served.h.advance(1_000);
  expect([watched.state, asked > 1]).toEqual(['stale', true]);
  watched.dispose();
  await end();
});

test('a mirror ends with its transport, and says so to who waits for it', async () => {
  const { served, client, transport, end } = await follow();
  const { offset, epoch } = served.topic.head();
  const far = { epoch, offset: offset + 5 };
  const mirror = mirrorTopic<DocEvent>(client.docs.changes, { seen: [far], clock: served.h.clock });
  const ready = expect(mirror.reached(far)).rejects.toThrow(WatchClosedError);
  await served.h.settled();
  expect(mirror.state).toBe('live');
  transport.close();
  await ready;
  expect(mirror.state).toBe('closed');
  expect(mirror.error).toMatchObject({ code: 'WATCH_CLOSED', message: closed });
  const late = mirrorTopic<DocEvent>(client.docs.changes, { clock: served.h.clock });
  expect([late.state, late.error?.message]).toEqual(['closed', closed]);
  await expect(late.ready()).rejects.toThrow(WatchClosedError);
  await end();
});
