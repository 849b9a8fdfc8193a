import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { LoopTurns, loopTurnsOf } from '../../watch/loopTurns.ts';
import { createTopic } from '../../watch/topic.ts';
import { allExtensions } from '../support/extensions.ts';
import { quietClock } from './support/clock.ts';
import { DocEvent, docServices } from './support/served.ts';
import { subscribe, using } from './support/subscribe.ts';

describe('turns', () => {
  const loop = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  test('go round by client, and each has its work done in order', async () => {
    const turns = new LoopTurns(quietClock());
    const done: string[] = [];
    for (const piece of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) turns.add(piece.slice(0, 1), () => done.push(piece));
    expect(done).toEqual([]);
    await loop();
    expect(done).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  });

  test('are as many as the loop can spare, and the rest comes in its next turn', async () => {
    const clock = quietClock();
    const turns = new LoopTurns(clock);
    let done = 0;
    for (let i = 0; i < 100; i++) turns.add('a', () => (done += 1));
    await loop();
    expect(done).toBe(64);
    await loop();
    expect(done).toBe(100);
    for (let i = 0; i < 3; i++) turns.add('a', () => clock.pass(i === 0 ? 3 : 5));
    expect(clock.pendingIo).toBe(1);
    await loop();
    expect(clock.pendingIo).toBe(1); // the third is still to come
    await loop();
    expect(clock.pendingIo).toBe(0);
  });

  test('are taken back one by one, and what nobody wants waits for nothing', async () => {
    const clock = quietClock();
    const turns = new LoopTurns(clock);
    const done: string[] = [];
    const [first, second] = ['a', 'b'].map((name) => turns.add('client', () => done.push(name)));
    first?.();
    first?.();
    expect(clock.pendingIo).toBe(1);
    await loop();
    expect(done).toEqual(['b']);
    second?.();
    turns.add('client', () => done.push('c'))();
    expect(clock.pendingIo).toBe(0);
    await loop();
    expect(done).toEqual(['b']);
  });

  test('are shared by what has one clock', () => {
    const clock = quietClock();
    expect(loopTurnsOf(clock)).toBe(loopTurnsOf(clock));
    expect(loopTurnsOf(clock)).not.toBe(loopTurnsOf(quietClock()));
  });
});

/** A topic of events that are nobody's, which counts how often it is read. */
async function counted(events: number) {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const topic = createTopic({ event: DocEvent, clock: h.clock });
  topic.publishAll(Array.from({ length: events }, (_, n) => ({ key: 'a', n })));
  let reads = 0;
  const read: typeof topic.read = (...args) => {
    reads += 1;
    return topic.read(...args);
  };
  const source = Object.assign(Object.create(topic), {
    head: () => topic.head(),
    onAppend: topic.onAppend.bind(topic),
    read,
  });
  const services = docServices(source, { batch: 10 });
  const transport = h.server({ extensions: allExtensions });
  const server = createServer(transport, services);
  const since = { ...topic.head(), offset: 0 };
  const connect = () => {
    return createClient<typeof services>(h.client({ extensions: allExtensions }));
  };
  const stop = async () => {
    await server.close();
    await h.settled();
    topic.close();
    await h[Symbol.asyncDispose]();
  };
  return { h, transport, server, since, connect, reads: () => reads, stop };
}

describe('catching up', () => {
  test('with many subscriptions takes no more of a turn of the loop than with some, nor the turns of others', async () => {
    const { h, since, connect, reads, stop } = await counted(200);
    const [greedy, honest] = [connect(), connect()];
    const readers = [greedy.docs.changes.subscribe({ keys: ['a'] }), honest.docs.changes.subscribe({ keys: ['a'] })];
    await h.settled();
    const before = reads();
    let most = 0;
    let last = before;
    let isWatching = true;
    const look = () => {
      most = Math.max(most, reads() - last);
      last = reads();
      if (isWatching) setImmediate(look);
    };
    setImmediate(look);
    const many = Array.from({ length: 300 }, () => greedy.docs.changes.subscribe({ since, keys: ['none'] }));
    const { resReadable } = honest.docs.changes.subscribe({ since });
    let got = 0;
    for await (const result of resReadable) {
      if (result.ok && result.payload.type === 'events') got += result.payload.events.length;
      if (got === 200) break;
    }
    const readMeanwhile = reads() - before;
    await h.settled();
    isWatching = false;
    expect(reads() - before).toBeGreaterThan(300 * 20);
    expect(readMeanwhile).toBeLessThan(300 * 10);
    // What a turn begins, and one read for each subscription that begins in it: whether its position is still held.
    expect(most).toBeLessThan(300 + 2 * 64);
    for (const { resReadable: reader } of [...readers, ...many]) reader.break();
    await h.settled();
    await stop();
  });

  test.each(['its calls end', 'the transport closes', 'the server closes'])('is given up when %s', async (what) => {
    const { h, transport, server, since, connect, reads, stop } = await counted(2_000);
    const client = connect();
    const many = Array.from({ length: 50 }, () => client.docs.changes.subscribe({ since, keys: ['none'] }));
    while (reads() < 200) await new Promise((resolve) => setImmediate(resolve));
    if (what === 'its calls end') for (const { resReadable } of many) resReadable.break();
    else if (what === 'the transport closes') transport.close();
    else await server.close();
    await h.settled();
    expect([reads() < 50 * 200, server.openCalls]).toEqual([true, 0]);
    for (const { resReadable } of many) resReadable.break();
    await stop();
  });

  test('together takes no more of a session than it has room for', () =>
    using(
      { limits: { maxMessageBytes: 64 * 1024, sessionHighWaterBytes: 64 * 1024, maxSessionBufferBytes: 192 * 1024 } },
      async (served) => {
        const { epoch } = served.topic.head();
        served.topic.publishAll(Array.from({ length: 60 }, (_, n) => ({ key: 'a', n, text: 'x'.repeat(2_000) })));
        const { client } = served.client({ extensions: allExtensions });
        const all = Array.from({ length: 50 }, () => subscribe(served, { since: { epoch, offset: 0 } }, client));
        await served.h.settled();
        for (const { heard, numbers } of all) {
          expect(heard.filter((message) => 'code' in message)).toEqual([]);
          expect(numbers()).toEqual(Array.from({ length: 60 }, (_, n) => n));
        }
      },
    ));
});
