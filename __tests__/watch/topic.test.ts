import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { hasReached } from '../../watch/hasReached.ts';
import { createMirror } from '../../watch/mirror.ts';
import { createTopic } from '../../watch/topic.ts';
import { quietClock } from './support/clock.ts';

const Event = Type.Object({ n: Type.Number() });

function setup(keep?: { events?: number }) {
  const clock = quietClock();
  const topic = createTopic({ event: Event, keep, clock });
  const at = (offset: number) => ({ epoch: topic.head().epoch, offset });
  return { clock, topic, at };
}

describe('a topic', () => {
  test('publishes, and is read from any position it holds', () => {
    const { topic, at } = setup();
    expect(topic.head()).toEqual(at(0));
    expect(topic.publish({ n: 1 })).toEqual(at(1));
    expect(topic.publishAll([{ n: 2 }, { n: 3 }])).toEqual(at(3));
    expect(topic.publishAll([])).toEqual(at(3));
    expect(topic.read(at(1), 1)).toEqual({ kind: 'events', events: [{ position: at(2), event: { n: 2 } }] });
    expect(topic.read(undefined, 10)).toMatchObject({ events: [{}, {}, {}] });
    expect(topic.read(at(3), 10)).toEqual({ kind: 'events', events: [] });
    expect(() => topic.read(undefined, 0)).toThrow('expected a limit that is a whole number from 1, got 0');
  });

  test('has a gap where its history does not reach, in another epoch, and beyond its head', () => {
    const { topic, at } = setup({ events: 2 });
    topic.publishAll([{ n: 1 }, { n: 2 }, { n: 3 }]);
    const gap = { kind: 'gap', oldest: at(1), head: at(3) };
    expect(topic.read(at(0), 10)).toEqual(gap);
    expect(topic.read(at(4), 10)).toEqual(gap);
    expect(topic.read({ epoch: 'other', offset: 2 }, 10)).toEqual(gap);
    expect(topic.read(gap.oldest, 10)).toMatchObject({ events: [{ event: { n: 2 } }, { event: { n: 3 } }] });
  });

  test('refuses what does not fit its schema, and publishes nothing of the batch', () => {
    const { topic } = setup();
    expect(() => topic.publishAll([{ n: 1 }, { n: 'x' as never }])).toThrow(/\/n: Expected number/);
    expect(topic.head().offset).toBe(0);
  });

  test('tells all who listen once a batch, though one of them throws or leaves', () => {
    const { topic } = setup();
    const told: string[] = [];
    topic.onAppend(() => {
      throw new Error('my own affair');
    });
    const stop = topic.onAppend(() => {
      told.push('a');
      stop();
      stop();
    });
    topic.onAppend(() => told.push('b'));
    topic.publishAll([{ n: 1 }, { n: 2 }]);
    topic.publish({ n: 3 });
    expect(told).toEqual(['a', 'b', 'b']);
  });

  test('who was told by another that it listens no more is not told any more', () => {
    const { topic } = setup();
    const told: string[] = [];
    topic.onAppend(() => stop());
    const stop = topic.onAppend(() => told.push('b'));
    topic.publish({ n: 1 });
    expect(told).toEqual([]);
  });

  test('says when a position is reached', async () => {
    const { topic, at, clock } = setup();
    const order: number[] = [];
    const waits = [3, 1, 2].map((offset) => topic.reached(at(offset)).then(() => order.push(offset)));
    topic.publish({ n: 1 });
    await waits[1];
    expect(order).toEqual([1]);
    topic.publishAll([{ n: 2 }, { n: 3 }]);
    await Promise.all(waits);
    await topic.reached(at(2));
    expect(order).toEqual([1, 2, 3]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('says when a position is not reached: in time, at all, or wanted any more', async () => {
    const { topic, at, clock } = setup();
    const late = expect(topic.reached(at(1), { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'REACHED_TIMEOUT',
      message: expect.stringContaining('was not reached within 50 ms: seen up to 0 of epoch'),
    });
    await expect(topic.reached({ epoch: 'other', offset: 0 })).rejects.toMatchObject({ code: 'OTHER_EPOCH' });
    const controller = new AbortController();
    const aborted = expect(topic.reached(at(1), { signal: controller.signal })).rejects.toMatchObject({
      code: 'REACHED_ABORTED',
      cause: 'enough',
    });
    controller.abort('enough');
    await aborted;
    await expect(topic.reached(at(1), { signal: controller.signal })).rejects.toMatchObject({
      code: 'REACHED_ABORTED',
    });
    for (const timeoutMs of [-1, '5' as never])
      await expect(topic.reached(at(1), { timeoutMs })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await clock.advance(50);
    await late;
    const byDefault = expect(topic.reached(at(1))).rejects.toMatchObject({ code: 'REACHED_TIMEOUT' });
    await clock.advance(30_000);
    await byDefault;
    expect(clock.pendingTimers).toBe(0);
  });

  test('leaves nothing behind once it is closed', async () => {
    const { topic, at, clock } = setup();
    const waiting = expect(topic.reached(at(1))).rejects.toMatchObject({ code: 'WATCH_CLOSED' });
    topic.close();
    await waiting;
    expect(() => topic.publish({ n: 1 })).toThrow('it was closed: publishing is not possible any more');
    expect(() => topic.onAppend(() => undefined)).toThrow('it was closed: listening');
    await expect(topic.reached(at(1))).rejects.toMatchObject({ code: 'WATCH_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('keeps no more bytes than it may, and the newest event whatever it takes', () => {
    const clock = quietClock();
    const topic = createTopic({ event: Type.Object({ text: Type.String() }), keep: { bytes: 10_000 }, clock });
    const held = () => {
      const outcome = topic.read(undefined, 1_000);
      return outcome.kind === 'events' ? outcome.events.map(({ event }) => event.text.length) : [];
    };
    for (let n = 0; n < 3_000; n++) topic.publish({ text: 'x'.repeat(900 + (n % 2)) });
    expect(held()).toHaveLength(10);
    topic.publish({ text: 'x'.repeat(20_000) });
    expect(held()).toEqual([20_000]);
    expect(topic.read({ ...topic.head(), offset: 3_000 }, 1)).toMatchObject({ kind: 'events', events: [{}] });
    topic.publishAll([{ text: 'x' }, { text: 'xx' }]);
    expect(held()).toEqual([1, 2]);
    expect(topic.head().offset).toBe(3_003);
  });

  test('keeps 64 MiB unless it is told otherwise', () => {
    const text = 'x'.repeat(1024 * 1024);
    const texts = (keep?: { bytes: number }) => {
      const topic = createTopic({ event: Type.Object({ text: Type.String() }), keep, clock: quietClock() });
      for (let n = 0; n < 100; n++) topic.publish({ text });
      const outcome = topic.read(undefined, 1_000);
      return outcome.kind === 'events' ? outcome.events.length : 0;
    };
    expect([texts(), texts({ bytes: Number.POSITIVE_INFINITY })]).toEqual([63, 100]);
  });

  test('refuses an event that is larger than it may be, and publishes nothing of the batch', () => {
    const event = Type.Object({ any: Type.Any() });
    const topic = createTopic({ event, maxEventBytes: 1_000, clock: quietClock() });
    topic.publish({ any: 'x'.repeat(950) });
    expect(() => topic.publishAll([{ any: 1 }, { any: 'x'.repeat(2_000) }])).toThrow(
      /^the event is too large: expected at most 1000 bytes, got up to 20\d\d$/,
    );
    expect(() => topic.publish({ any: new Map() })).toThrow('holds something that no codec carries');
    expect(topic.head().offset).toBe(1);
    for (const maxEventBytes of [0, Number.NaN])
      expect(() => createTopic({ event, maxEventBytes })).toThrow('expected maxEventBytes of more than 0, got');
  });

  test('counts nothing for what it cannot weigh', () => {
    const clock = quietClock();
    const topic = createTopic({ event: Type.Object({ any: Type.Any() }), keep: { bytes: 1_000 }, clock });
    topic.publish({ any: 1 });
    topic.publish({ any: new Map() });
    const tree: { children: object[] } = { children: [] };
    for (let n = 0; n < 3; n++) tree.children.push({ parent: tree });
    topic.publish({ any: tree });
    expect(topic.read(undefined, 10)).toMatchObject({ events: [{}, {}, {}] });
  });

  test.each([{ events: 0 }, { events: 1.5 }, { ageMs: 0 }, { ageMs: Number.NaN }, { bytes: 0 }])(
    'refuses to keep %j',
    (keep) => {
      expect(() => createTopic({ event: Event, keep })).toThrow(/expected keep\.(events|ageMs|bytes)/);
    },
  );
});

describe('a mirror', () => {
  const at = (offset: number, epoch = 'E') => ({ epoch, offset });
  const event = (offset: number) => ({ position: at(offset), event: { n: offset } });

  function mirrored(events = 3) {
    const clock = quietClock();
    const mirror = createMirror({ event: Event, keep: { events }, clock });
    mirror.reset(at(10));
    return { mirror, clock };
  }

  test("has the origin's positions, those that somebody filtered too", () => {
    const { mirror } = mirrored();
    mirror.append([event(12), event(15)], at(20));
    expect(mirror.head()).toEqual(at(20));
    expect(mirror.read(at(10), 10)).toEqual({ kind: 'events', events: [event(12), event(15)], through: at(20) });
    expect(mirror.read(at(10), 1)).toEqual({ kind: 'events', events: [event(12)] });
    expect(mirror.read(at(13), 1)).toEqual({ kind: 'events', events: [event(15)], through: at(20) });
    expect(mirror.read(at(15), 10)).toEqual({ kind: 'events', events: [], through: at(20) });
    expect(mirror.read(at(9), 10)).toEqual({ kind: 'gap', oldest: at(10), head: at(20) });
    mirror.append([], at(21));
    mirror.append([event(22), event(23)], at(23));
    expect(mirror.read(at(10), 10)).toMatchObject({ kind: 'gap', oldest: at(12) });
    expect(mirror.read(at(12), 10)).toMatchObject({ events: [event(15), event(22), event(23)] });
  });

  test('keeps no more bytes than it may, as a topic in memory does', () => {
    const mirror = createMirror<{ text: string }>({ keep: { bytes: 10_000 }, clock: quietClock() });
    mirror.reset({ epoch: 'e', offset: 0 });
    const held = () => {
      const outcome = mirror.read(undefined, 1_000);
      return outcome.kind === 'events' ? outcome.events.map(({ position }) => position.offset) : [];
    };
    for (let offset = 1; offset <= 30; offset++) {
      const position = { epoch: 'e', offset };
      mirror.append([{ position, event: { text: 'x'.repeat(900) } }], position);
    }
    expect(held()).toEqual(Array.from({ length: 10 }, (_, n) => 21 + n));
    expect(mirror.read({ epoch: 'e', offset: 19 }, 1)).toMatchObject({ kind: 'gap' });
  });

  test('knows nothing from before a reset, also into another epoch', async () => {
    const { mirror, clock } = mirrored();
    mirror.append([event(11)], at(11));
    let told = 0;
    mirror.onAppend(() => {
      told += 1;
    });
    const old = expect(mirror.reached(at(12))).rejects.toMatchObject({ code: 'OTHER_EPOCH' });
    const next = mirror.reached(at(6, 'F'));
    mirror.reset(at(5, 'F'));
    await old;
    expect(told).toBe(1);
    expect(mirror.read(at(11), 10)).toEqual({ kind: 'gap', oldest: at(5, 'F'), head: at(5, 'F') });
    mirror.append([{ position: at(6, 'F'), event: { n: 6 } }], at(6, 'F'));
    await next;
    expect(hasReached(mirror.head(), at(6, 'F'))).toBe(true);
    mirror.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('refuses what is not in order, of another epoch, or no event', () => {
    const { mirror } = mirrored();
    mirror.append([event(11)], at(11));
    expect(() => mirror.append([event(11)], at(12))).toThrow(
      'expected a position after 11 of epoch E, got 11 of epoch E',
    );
    expect(() => mirror.append([event(13), event(12)], at(13))).toThrow('expected a position after 13');
    expect(() => mirror.append([event(12)], at(11))).toThrow('expected through at or behind 12');
    expect(() => mirror.append([], at(12, 'F'))).toThrow('reset first');
    expect(() => mirror.append([{ position: at(12), event: { n: 'x' as never } }], at(12))).toThrow(
      '/n: Expected number',
    );
    expect(mirror.head()).toEqual(at(11));
    expect(mirror.read(at(10), 10)).toMatchObject({ events: [event(11)] });
  });
});
