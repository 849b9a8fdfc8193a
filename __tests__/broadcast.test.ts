import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/index.ts';
import { broadcast } from '../router/broadcast.ts';
import { createClient } from '../router/client.ts';
import { Procedure } from '../router/procedures.ts';
import { Err, Ok, type Result } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServiceSchema } from '../router/services.ts';
import type { Writable } from '../router/writable.ts';
import { createHarness } from '../testUtil/harness.ts';
import { matrix } from '../testUtil/matrix.ts';
import type { VirtualClock } from '../testUtil/virtualClock.ts';
import type { ClientTransportOptions } from '../transport/options.ts';
import type { ServerTransport } from '../transport/server.ts';
import { allExtensions, noExtensions } from './support/extensions.ts';
import { microtasks } from './support/loop.ts';

const Gone = Type.Object({
  code: Type.Literal('GONE'),
  message: Type.String(),
  extras: Type.Object({ n: Type.Number() }),
});
const Event = Type.Object({ n: Type.Number(), text: Type.Optional(Type.String()) });
type Subscriber = Writable<Result<{ n: number; text?: string }, never>>;

/** What a write to a connection takes. */
const WRITE_MS = 0.1;

/** Writes of a server to each of its connections from now on. Each is corked, however many frames it has; and each takes its time. */
function countWrites(transport: ServerTransport, clock: VirtualClock): () => number[] {
  const counts: number[] = [];
  for (const session of transport.sessions.values()) {
    if (session.state !== 'Connected') throw new Error(`${session.to} is ${session.state}`);
    const { connection } = session;
    const cork = connection.cork.bind(connection);
    const i = counts.push(0) - 1;
    connection.cork = () => {
      counts[i] = (counts[i] ?? 0) + 1;
      clock.pass(WRITE_MS);
      cork();
    };
  }
  return () => counts;
}

describe.each(matrix)('one event to many subscribers over $name', ({ transport, codec }) => {
  /** As many clients as options are given, with so many subscriptions each. */
  async function setup(...clients: ClientTransportOptions[]) {
    return setupWith(clients, 1);
  }

  async function setupOne(subscriptions: number) {
    return setupWith([{}], subscriptions);
  }

  async function setupWith(clients: readonly ClientTransportOptions[], each: number) {
    const harness = await createHarness({ transport, codec });
    const subscribers: Subscriber[] = [];
    const services = {
      events: createServiceSchema().define({
        follow: Procedure.subscription({
          requestInit: Type.Object({}),
          responseData: Event,
          responseError: Gone,
          async handler({ resWritable }) {
            subscribers.push(resWritable as Subscriber); // it declares no error
          },
        }),
      }),
    };
    const serverTransport = harness.server({ extensions: allExtensions });
    const server = createServer(serverTransport, services);
    const readables = clients.flatMap((options, n) => {
      const client = createClient<typeof services>(harness.client(options, `client-${n}`));
      return Array.from({ length: each }, () => client.events.follow.subscribe({}).resReadable);
    });
    await harness.settled();
    expect(subscribers).toHaveLength(readables.length);
    return { harness, serverTransport, server, subscribers, readables };
  }

  test('reaches each, in order with what else is written to it', async () => {
    const { harness, server, subscribers, readables } = await setup({}, {}, { extensions: noExtensions });
    subscribers[1]?.write(Ok({ n: 0 }));
    expect(broadcast(subscribers, Ok({ n: 1 }))).toEqual([]);
    expect(broadcast(new Set(subscribers), Ok({ n: 2 }))).toEqual([]);
    subscribers[2]?.write(Ok({ n: 3 }));
    for (const subscriber of subscribers) subscriber.close();
    await harness.settled();
    const numbers = await Promise.all(
      readables.map(async (readable) => (await readable.collect()).map((result) => result.ok && result.payload.n)),
    );
    expect(numbers).toEqual([
      [1, 2],
      [0, 1, 2],
      [1, 2, 3],
    ]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test.each([
    { size: 'small', length: 10 },
    { size: 'large', length: 200_000 },
  ])(
    'is one $size message in memory for all streams of one number, and arrives at each, also after a cut',
    async (event) => {
      const { harness, serverTransport, server, subscribers, readables } = await setup({}, {}, {});
      const sessions = [...serverTransport.sessions.values()];
      // Each is at another place of its own.
      for (const [n, subscriber] of subscribers.entries())
        for (let written = 0; written < n; written++) subscriber.write(Ok({ n: 0 }));
      await harness.settled();
      const seqs = sessions.map(({ core }) => core.nextSeq);
      expect(seqs).toEqual([0, 1, 2]);
      const text = 'x'.repeat(event.length);
      const readers = readables.map((readable) => readable[Symbol.asyncIterator]());
      /** What each hears, the nothings left out. */
      const heard = Promise.all(
        readers.map(async (reader, n) => {
          for (let skipped = 0; skipped < n; skipped++) await reader.next();
          return (await reader.next()).value;
        }),
      );
      broadcast(subscribers, Ok({ n: 7, text }));
      const kept = sessions.map(({ core }) => core.ledger.frameAt(core.nextSeq - 1));
      expect(kept[0]?.length).toBeGreaterThan(event.length);
      // On River's wire each has an envelope of its own.
      if (sessions.every(({ core }) => core.isCompact)) {
        expect(kept[2]).toBe(kept[1]);
        if (event.size === 'small') expect(kept[1]).toBe(kept[0]);
      }
      await harness.settled();
      // At once: no frame of one has the header of another, which would cost it its connection.
      expect(await heard).toEqual(readers.map(() => Ok({ n: 7, text })));
      broadcast(subscribers, Ok({ n: 8, text }));
      harness.link.cut();
      await harness.advance(1_000);
      for (const subscriber of subscribers) subscriber.close();
      for (const reader of readers) {
        expect((await reader.next()).value).toEqual(Ok({ n: 8, text }));
        expect((await reader.next()).done).toBe(true);
      }
      await server.close();
      await harness[Symbol.asyncDispose]();
    },
  );

  test('is an error where it is one', async () => {
    const { harness, server, subscribers, readables } = await setup({}, {});
    const failed = Err({ code: 'GONE', message: 'it is gone', extras: { n: 1 } });
    broadcast(subscribers as unknown as Writable<typeof failed>[], failed);
    for (const subscriber of subscribers) subscriber.close();
    await harness.settled();
    for (const readable of readables) expect(await readable.collect()).toEqual([failed]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test('is a message of its own for each number of a stream', async () => {
    const { harness, server, subscribers, readables } = await setupOne(300);
    expect(broadcast(subscribers, Ok({ n: 1 }))).toEqual([]);
    await harness.settled();
    for (const subscriber of subscribers) subscriber.close(Ok({ n: 2 }));
    await harness.settled();
    for (const readable of readables) expect(await readable.collect()).toEqual([Ok({ n: 1 }), Ok({ n: 2 })]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  /** So many that the next event waits until what arrived meanwhile was read. */
  const many = Array.from({ length: 20 }, () => ({}));

  async function setupMany() {
    const parts = await setup(...many);
    const writes = countWrites(parts.serverTransport, parts.harness.clock);
    return { ...parts, writes };
  }

  test('leaves at once, and the next one with the others that came before what arrived meanwhile was read', async () => {
    const { harness, server, subscribers, readables, writes } = await setupMany();
    for (const n of [1, 2, 3]) {
      broadcast(subscribers, Ok({ n }));
      await microtasks();
      expect(writes()).toEqual(many.map(() => 1));
    }
    await harness.settled();
    expect(writes()).toEqual(many.map(() => 2));
    for (const subscriber of subscribers) subscriber.close();
    await harness.settled();
    for (const readable of readables)
      expect(await readable.collect()).toEqual([Ok({ n: 1 }), Ok({ n: 2 }), Ok({ n: 3 })]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test.each([
    { what: 'something else', said: { n: 3 } },
    { what: 'what fills a frame', said: { n: 3, text: 'x'.repeat(65_536) } },
  ])('waits no longer than it took the one before, if a subscriber is told $what', async ({ said }) => {
    const { harness, server, subscribers, readables, writes } = await setupMany();
    for (const n of [1, 2]) {
      broadcast(subscribers, Ok({ n }));
      await microtasks();
    }
    harness.clock.pass(many.length * WRITE_MS);
    subscribers[0]?.write(Ok(said));
    await microtasks();
    for (const count of writes()) expect(count).toBe(2);
    for (const subscriber of subscribers) subscriber.close();
    await harness.settled();
    expect(await readables[0]?.collect()).toEqual([Ok({ n: 1 }), Ok({ n: 2 }), Ok(said)]);
    expect(await readables[1]?.collect()).toEqual([Ok({ n: 1 }), Ok({ n: 2 })]);
    for (const readable of readables.slice(2)) readable.break();
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test('that waits leaves before its session is ended', async () => {
    const { harness, serverTransport, subscribers, readables } = await setupMany();
    for (const n of [1, 2]) {
      broadcast(subscribers, Ok({ n }));
      await microtasks();
    }
    serverTransport.close();
    await harness.settled();
    for (const readable of readables) {
      const iterator = readable[Symbol.asyncIterator]();
      for (const n of [1, 2]) expect((await iterator.next()).value).toEqual(Ok({ n }));
      readable.break();
    }
    await harness[Symbol.asyncDispose]();
  });

  // The network in memory delivers by way of the loop, too.
  test.skipIf(transport === 'memory')('is nothing that waits for the loop once its transport has closed', async () => {
    const { harness, serverTransport, subscribers, readables } = await setupMany();
    for (const n of [1, 2]) {
      broadcast(subscribers, Ok({ n }));
      await microtasks();
    }
    expect(harness.clock.pendingIo).toBe(1);
    serverTransport.close();
    expect(harness.clock.pendingIo).toBe(0);
    for (const readable of readables) readable.break();
    await harness[Symbol.asyncDispose]();
  });

  test('that does not fit its schema ends their calls, as it would by itself', async () => {
    const { harness, server, subscribers, readables } = await setup({}, {});
    broadcast(subscribers, Ok({ n: 'x' as never }));
    await harness.settled();
    for (const readable of readables)
      expect(await readable.collect()).toMatchObject([{ ok: false, payload: { code: 'UNCAUGHT_ERROR' } }]);
    expect(server.openCalls).toBe(0);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test('passes over one that is closed, and says so', async () => {
    const { harness, server, subscribers, readables } = await setup({}, {});
    subscribers[0]?.close();
    expect(broadcast(subscribers, Ok({ n: 1 }))).toEqual([subscribers[0]]);
    subscribers[1]?.close();
    await harness.settled();
    const results = await Promise.all(readables.map((readable) => readable.collect()));
    expect(results).toEqual([[], [{ ok: true, payload: { n: 1 } }]]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });

  test('says who is too far behind, and who has gone', async () => {
    const { harness, server, subscribers, readables } = await setup(
      { readableHighWaterBytes: 200, extensions: allExtensions },
      {},
      {},
    );
    readables[2]?.break();
    await harness.settled();
    const text = Ok({ n: 1 });
    let behind: Subscriber[] = [];
    for (let n = 0; n < 10; n++) behind = broadcast(subscribers, text);
    expect(behind).toEqual([subscribers[0], subscribers[2]]);
    const [slow, other] = readables;
    for (const subscriber of subscribers) subscriber.close();
    const results = Promise.all([slow?.collect(), other?.collect()]);
    await harness.settled();
    expect((await results).map((all) => all?.length)).toEqual([10, 10]);
    await server.close();
    await harness[Symbol.asyncDispose]();
  });
});

test('a value for many is encoded once', async () => {
  const harness = await createHarness({ transport: 'memory', codec: JsonCodec });
  const subscribers: Subscriber[] = [];
  const services = {
    events: createServiceSchema().define({
      follow: Procedure.subscription({
        requestInit: Type.Object({}),
        responseData: Type.Unknown(),
        async handler({ resWritable }) {
          subscribers.push(resWritable as Subscriber);
        },
      }),
    }),
  };
  const server = createServer(harness.server({ extensions: allExtensions }), services);
  const clients = [0, 1, 2].map((n) =>
    createClient<typeof services>(harness.client({ extensions: allExtensions }, `client-${n}`)),
  );
  for (const client of clients) client.events.follow.subscribe({});
  await harness.settled();
  let reads = 0;
  const event = {
    get n() {
      reads += 1;
      return 1;
    },
  };
  // Once by what looks for what no codec carries, once by the codec.
  broadcast(subscribers.slice(0, 1), Ok(event));
  const once = reads;
  broadcast(subscribers, Ok(event));
  expect(reads).toBe(2 * once);
  for (const subscriber of subscribers) subscriber.close();
  await harness.settled();
  await server.close();
  await harness[Symbol.asyncDispose]();
});
