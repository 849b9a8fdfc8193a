import { expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import type { LocalSource } from '../../watch/localSource.ts';
import type { TopicMessage } from '../../watch/messages.ts';
import { createMirror } from '../../watch/mirror.ts';
import { DocEvent, docServices } from './support/served.ts';
import { subscribe, using } from './support/subscribe.ts';

test('who knows already how far it is, is told no progress', () =>
  using({ progressMs: 100 }, async (served) => {
    const { heard } = subscribe(served, { keys: ['a'] });
    await served.h.settled();
    served.publish(1);
    await served.h.settled();
    const { length } = heard;
    expect(heard.at(-1)).toMatchObject({ type: 'events', through: 1 });
    await served.h.advance(1_000);
    expect(heard).toHaveLength(length);
  }));

test('progress is told to those who come while it is due, though all for whom it was have left', () =>
  using({ progressMs: 100 }, async (served) => {
    const first = subscribe(served, { keys: ['a'] });
    await served.h.settled();
    served.publish(1, 'x');
    await served.h.settled();
    first.resReadable.break();
    await served.h.settled();
    const second = subscribe(served, { keys: ['a'] });
    await served.h.settled();
    served.publish(2, 'x');
    await served.h.advance(100);
    expect(second.heard.at(-1)).toMatchObject({ type: 'progress', position: { offset: 2 } });
  }));

test('an event that is larger than a batch may be, and no larger than an event may be, goes out by itself', () =>
  using({ maxBatchBytes: 100 }, async (served) => {
    const { heard } = subscribe(served);
    await served.h.settled();
    served.publish(1);
    served.topic.publish({ key: 'a', n: 2, text: 'x'.repeat(200) });
    served.publish(3);
    await served.h.settled();
    expect(heard.slice(1).map((message) => 'events' in message && message.events.map(({ event }) => event.n))).toEqual([
      [1],
      [2],
      [3],
    ]);
  }));

test('who comes to a mirror behind which there is nothing but positions is told them, and follows', async () => {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const mirror = createMirror({ event: DocEvent, clock: h.clock });
  const at = (offset: number) => ({ epoch: 'E', offset });
  mirror.reset(at(5));
  const services = docServices(mirror);
  const server = createServer(h.server(), services);
  const follow = (offset: number) => {
    const heard: TopicMessage<DocEvent>[] = [];
    const { resReadable } = createClient<typeof services>(h.client()).docs.changes.subscribe({ since: at(offset) });
    void (async () => {
      for await (const result of resReadable) if (result.ok) heard.push(result.payload);
    })();
    return heard;
  };
  const first = follow(5);
  await h.settled();
  mirror.append([], at(9));
  await h.settled();
  const second = follow(7);
  await h.settled();
  mirror.append([{ position: at(10), event: { key: 'a', n: 10 } }], at(10));
  await h.settled();
  const last = { type: 'events', epoch: 'E', through: 10, events: [{ offset: 10, event: { key: 'a', n: 10 } }] };
  const readies = [
    { type: 'ready', position: at(5), isRecovered: true },
    { type: 'ready', position: at(7), isRecovered: true, head: at(9) },
  ];
  for (const [i, heard] of [first, second].entries())
    expect(heard).toEqual([readies[i], { type: 'progress', position: at(9) }, last]);
  await server.close();
  await h.settled();
  mirror.close();
  await h[Symbol.asyncDispose]();
});

test('who is ahead of a source that has an origin waits for it, and is waited for no longer than it stays', async () => {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const mirror = createMirror({ event: DocEvent, clock: h.clock });
  const at = (offset: number) => ({ epoch: 'E', offset });
  mirror.reset(at(5));
  let waiting = 0;
  const source: LocalSource<DocEvent> = {
    head: () => mirror.head(),
    // As a mirror that knows its readers: what is beyond its head will come.
    read: (after, limit) =>
      after !== undefined && after.offset > mirror.head().offset
        ? { kind: 'events', events: [] }
        : mirror.read(after, limit),
    readFromOrigin: () => Promise.reject(new Error('expected nobody to be asked')),
    async reached(position, options) {
      waiting += 1;
      try {
        await mirror.reached(position, options);
      } finally {
        waiting -= 1;
      }
    },
    onAppend: (listener) => mirror.onAppend(listener),
    close: () => mirror.close(),
  };
  const services = docServices(source);
  const server = createServer(h.server(), services);
  const { changes } = createClient<typeof services>(h.client()).docs;
  const [there, ahead] = [5, 9].map((offset) => changes.subscribe({ since: at(offset), from: 'oldest' }).resReadable);
  await h.settled();
  expect(waiting).toBe(1);
  ahead?.break();
  await h.settled();
  expect(waiting).toBe(0);
  there?.break();
  await h.settled();
  await server.close();
  source.close();
  await h[Symbol.asyncDispose]();
});
