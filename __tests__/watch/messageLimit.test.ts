import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { createTopic } from '../../watch/topic.ts';
import { topicProcedure } from '../../watch/topicProcedure.ts';
import { roomForEvents } from '../../watch/unsendable.ts';
import { watch } from '../../watch/watch.ts';
import { allExtensions } from '../support/extensions.ts';
import { DocEvent, docServices } from './support/served.ts';
import { type Heard, subscribe, using } from './support/subscribe.ts';

const KIB = 1024;
const limits = { maxMessageBytes: 64 * KIB };
const large = 'x'.repeat(100 * KIB);
const kinds = (heard: readonly Heard[]) => heard.map((message) => ('type' in message ? message.type : message.code));

describe.each(matrix)('what a session can send, over $name', ({ transport, codec }) => {
  test('an event that is larger is a gap, which is logged once, and the topic goes on', () =>
    using({ transport, codec, limits }, async (served) => {
      const logged: unknown[] = [];
      served.transport.bindLogger(
        (message, { error, procedure }) => logged.push({ message, error, procedure }),
        'error',
      );
      const { epoch } = served.topic.head();
      const live = [subscribe(served), subscribe(served)];
      const ofKey = subscribe(served, { keys: ['a'] });
      const ofOther = subscribe(served, { keys: ['b'] });
      await served.h.settled();
      served.publish(1);
      served.topic.publish({ key: 'a', n: 2, text: large });
      served.publish(3);
      await served.h.settled();
      const late = subscribe(served, { since: { epoch, offset: 0 } });
      const lateOfOther = subscribe(served, { since: { epoch, offset: 0 }, keys: ['b'] });
      await served.h.settled();
      for (const { heard, numbers } of [...live, ofKey, late]) {
        expect(kinds(heard)).toEqual(['ready', 'events', 'reset', 'events']);
        expect(heard[2]).toEqual({ type: 'reset', position: { epoch, offset: 2 } });
        expect(numbers()).toEqual([1, 3]);
      }
      expect(kinds(ofOther.heard)).toEqual(['ready']);
      expect(kinds(lateOfOther.heard)).toEqual(['ready', 'progress']);
      expect(logged).toMatchObject([
        { message: 'an event cannot be sent', error: { code: 'EVENT_UNSENDABLE' }, procedure: 'changes' },
      ]);
    }));

  test('events that are larger together go out one after another', () =>
    using({ transport, codec, limits }, async (served) => {
      const { epoch } = served.topic.head();
      const live = subscribe(served);
      await served.h.settled();
      const events = Array.from({ length: 12 }, (_, i) => ({ key: 'a', n: i + 1, text: 'x'.repeat(20 * KIB) }));
      served.topic.publishAll(events);
      await served.h.settled();
      const late = subscribe(served, { since: { epoch, offset: 0 } });
      await served.h.settled();
      for (const { heard, numbers } of [live, late]) {
        expect(numbers()).toEqual(events.map(({ n }) => n));
        expect(new Set(kinds(heard))).toEqual(new Set(['ready', 'events']));
      }
    }));

  test('a watch comes past such an event with one load, on the subscription that it has', () =>
    using({ transport, codec, limits }, async (served) => {
      const watched = watch<DocEvent, number>(served.client().client.docs.changes, {
        load: () => served.topic.head().offset,
        clock: served.h.clock,
      });
      await served.h.settled();
      served.topic.publish({ key: 'a', n: 1, text: large });
      await served.h.settled();
      expect([watched.value, watched.state, watched.error]).toEqual([1, 'live', undefined]);
      expect(watched.stats).toMatchObject({ loads: 2, resets: 1, resubscribes: 0 });
      watched.dispose();
      await served.h.settled();
    }));
});

test('one transport of a server can send what another cannot', async () => {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const topic = createTopic({ event: DocEvent, clock: h.clock });
  const services = docServices(topic);
  const narrow = h.server({ extensions: allExtensions, ...limits }, 'NARROW');
  const wide = h.server({ extensions: allExtensions }, 'WIDE');
  const server = createServer([narrow, wide], services);
  const follow = (serverId: string) => {
    const client = createClient<typeof services>(h.client({ extensions: allExtensions }), serverId);
    const heard: string[] = [];
    void (async () => {
      for await (const result of client.docs.changes.subscribe({}).resReadable)
        heard.push(result.ok ? result.payload.type : result.payload.code);
    })();
    return heard;
  };
  const [few, all] = [follow('NARROW'), follow('WIDE')];
  await h.settled();
  topic.publish({ key: 'a', n: 1, text: large });
  await h.settled();
  expect([few, all]).toEqual([
    ['ready', 'reset'],
    ['ready', 'events'],
  ]);
  await server.close();
  await h.settled();
  topic.close();
  await h[Symbol.asyncDispose]();
});

test('of a context that no server made nothing is known', () => {
  expect(roomForEvents({})).toBe(Number.POSITIVE_INFINITY);
});

/** Some text that takes about so many bytes, of characters that codecs do not take as they are. */
const texts: Record<string, (bytes: number) => unknown> = {
  letters: (bytes) => 'x'.repeat(bytes),
  'control characters': (bytes) => '\u0001'.repeat(bytes / 6),
  quotes: (bytes) => '"'.repeat(bytes / 2),
  accents: (bytes) => 'é'.repeat(bytes / 2),
  'characters beyond the basic plane': (bytes) => '😀'.repeat(bytes / 4),
  'halves of characters': (bytes) => '\ud83d'.repeat(bytes / 6),
  bytes: (bytes) => new Uint8Array((bytes / 4) * 3),
  numbers: (bytes) => Array.from({ length: bytes / 25 }, () => -1.2345678901234567e-100),
  bigints: (bytes) => 10n ** BigInt(Math.floor(bytes)),
  dates: (bytes) => Array.from({ length: bytes / 27 }, () => new Date(0)),
  'texts of some length': (bytes) => Array.from({ length: bytes / 303 }, () => 'x'.repeat(300)),
  'keys with a dollar': (bytes) =>
    Object.fromEntries(Array.from({ length: bytes / 8 }, (_, i) => [`$${i.toString(36)}`, ''])),
};

/** What no codec carries. */
const unsendable: Record<string, unknown> = {
  'a map': new Map([[1, 2]]),
  'a function': () => undefined,
  'an invalid date': new Date(Number.NaN),
};

function nested(depth: number): unknown {
  let value: unknown = 1n;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

describe.each(matrix)('whatever is published, over $name', ({ transport, codec }) => {
  const Anything = Type.Object({ a: Type.Any() });

  test.each([true, false])('no event ends a subscription (extensions: %s)', async (speaks) => {
    const h = await createHarness({ transport, codec });
    const topic = createTopic({ event: Anything, clock: h.clock });
    const any = createServiceSchema().define({
      changes: topicProcedure<typeof Anything, object>(topic, { event: Anything, authorize: () => true }),
    });
    const extensions = { ...allExtensions, compact: speaks, credit: speaks };
    const serverTransport = h.server({ extensions, maxMessageBytes: 16 * KIB });
    const server = createServer(serverTransport, { any });
    const client = createClient<{ any: typeof any }>(h.client({ extensions }, 'client with a "name" of some length'));
    const heard: string[] = [];
    void (async () => {
      for await (const result of client.any.changes.subscribe({}).resReadable)
        heard.push(result.ok ? result.payload.type : `${result.payload.code}: ${result.payload.message}`);
    })();
    await h.settled();
    const values = [
      ...Object.values(texts).flatMap((of) =>
        [-4000, -3000, -2000, -1500, -1000, -500, 0].map((d) => of(16 * KIB + d)),
      ),
      ...Array.from({ length: 20 }, (_, i) => nested(50 + i)),
      ...Object.values(unsendable),
    ];
    for (const a of values) {
      topic.publish({ a });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await h.settled();
    expect([...new Set(heard)].sort()).toEqual(['events', 'ready', 'reset']);
    expect(heard).toHaveLength(1 + values.length);
    await server.close();
    await h.settled();
    topic.close();
    await h[Symbol.asyncDispose]();
  });
});
