import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Err, Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { createShopStage } from '../support/shop.ts';

const everyFraming = matrix.flatMap(({ name, ...options }) =>
  [true, false].map((compact) => ({ name: `${name}${compact ? ' × compact' : ''}`, compact, options })),
);
const memory = { transport: 'memory', codec: JsonCodec } as const;
const book = { item: 'book' };
/** An error result, whatever it says to people. */
const failed = (code: string, message: unknown = expect.any(String)) => ({ ok: false, payload: { code, message } });

describe.each(everyFraming)('a call with an idempotency key over $name', ({ options, compact }) => {
  async function opened() {
    const stage = await createShopStage(options, compact);
    stage.open({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });
    const { transport, client } = stage.client();
    return { stage, transport, client, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
  }

  test('that is repeated gets the outcome of the first one, and has its effect once', async () => {
    await using set = await opened();
    const { stage, client } = set;
    for (let i = 0; i < 3; i++)
      expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'b' })).toEqual(Ok({ number: 2 }));
    expect(stage.till.effects).toEqual(['book', 'book']);
  });

  test('whose session dies while it runs goes on, and the next session gets what comes of it', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    const firstSession = transport.sessions.get('SERVER')?.id;
    await stage.hardReconnect(transport);
    expect(transport.sessions.get('SERVER')?.id).not.toBe(firstSession);
    expect(stage.till.signals.map(({ aborted }) => aborted)).toEqual([false]);
    expect(stage.server.running).toBeGreaterThan(0);
    stage.till.release();
    expect(await result).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['book']);
    expect(stage.server.openCalls).toBe(0);
    await stage.h.settled();
    expect(stage.server.running).toBe(0);
    expect(stage.till.signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(stage.till.cleanups).toBe(1);
  });

  test('whose session dies after it ended, before its answer arrived, gets that answer on the next one', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    await stage.h.settled();
    stage.till.release();
    await stage.h.settled();
    expect(stage.server.running).toBe(0);
    stage.h.link.setReachable(true);
    await stage.hardReconnect(transport);
    expect(await result).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('that never arrived before its session died is executed by the next one', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    await stage.h.settled();
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    await stage.h.settled();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    expect(stage.till.effects).toEqual([]);
    stage.h.link.setReachable(true);
    await stage.hardReconnect(transport);
    expect(await result).toEqual(Ok({ number: 1 }));
  });

  test('is of unknown outcome where the server lost its memory, and is not executed again', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.crash();
    stage.open({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });
    await stage.hardReconnect(transport);
    expect(await result).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
    // The next call is another one.
    stage.till.release();
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'b' })).toMatchObject({ ok: true });
  });

  test('is executed by the next server if none got it: what was never framed was never sent', async () => {
    await using stage = await createShopStage(options, compact);
    stage.h.link.setReachable(false);
    const { transport, client } = stage.client();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    transport.hardDisconnect();
    await stage.h.settled();
    stage.h.link.setReachable(true);
    stage.open({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });
    await stage.hardReconnect(transport);
    expect(await result).toEqual(Ok({ number: 1 }));
  });

  test('under the key of another request is refused; the order of its properties does not matter', async () => {
    await using set = await opened();
    const { stage, client } = set;
    const place = (order: { item: string; count?: number }) => client.orders.place.rpc(order, { idempotencyKey: 'a' });
    expect(await place({ item: 'book', count: 1 })).toEqual(Ok({ number: 1 }));
    expect(await place({ count: 1, item: 'book' })).toEqual(Ok({ number: 1 }));
    expect(await place({ item: 'book', count: 2 })).toEqual(failed('IDEMPOTENCY_KEY_REUSED'));
    expect(await place({ item: 'book' })).toEqual(failed('IDEMPOTENCY_KEY_REUSED'));
    stage.till.hold();
    const running = client.orders.place.rpc(book, { idempotencyKey: 'b' });
    expect(await client.orders.place.rpc({ item: 'pen' }, { idempotencyKey: 'b' })).toEqual(
      failed('IDEMPOTENCY_KEY_REUSED'),
    );
    stage.till.release();
    expect(await running).toEqual(Ok({ number: 2 }));
    expect(stage.till.effects).toEqual(['book', 'book']);
  });

  test.each([
    { item: 'none', error: { code: 'SOLD_OUT', message: 'nothing left' } },
    { item: 'broken', error: { code: 'UNCAUGHT_ERROR', message: 'internal server error' } },
    { item: 'misfit', error: { code: 'UNCAUGHT_ERROR', message: 'internal server error' } },
    { item: 'cancelled', error: { code: 'CANCEL', message: 'not today' } },
    { item: 'cancelled, goes on', error: { code: 'CANCEL', message: 'not today' } },
  ])('that fails keeps its error ($item)', async ({ item, error }) => {
    await using set = await opened();
    const { stage, client } = set;
    for (let i = 0; i < 2; i++)
      expect(await client.orders.place.rpc({ item }, { idempotencyKey: 'a' })).toEqual(Err(error));
    expect(stage.till.effects).toEqual([item]);
  });

  test('made fifty times at once has one effect, and all get its outcome', async () => {
    await using set = await opened();
    const { stage, client } = set;
    const results = await Promise.all(
      Array.from({ length: 50 }, () => client.orders.place.rpc(book, { idempotencyKey: 'a' })),
    );
    expect(results).toEqual(Array.from({ length: 50 }, () => Ok({ number: 1 })));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('is another call for another principal, and for another procedure', async () => {
    await using set = await opened();
    const { stage, client } = set;
    const other = stage.client({}, 'somebody else').client;
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
    expect(await other.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 2 }));
    expect(await client.orders.refund.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 3 }));
  });

  test('fails where the server keeps no outcomes, and nothing is sent', async () => {
    await using stage = await createShopStage(options, compact);
    stage.open(undefined);
    const { client } = stage.client();
    const unsupported = Err({
      code: 'IDEMPOTENCY_UNSUPPORTED',
      message: expect.stringContaining('the server keeps no outcomes'),
    });
    // Before the session's first answer, and after it.
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(unsupported);
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(unsupported);
    expect(await client.orders.place.rpc({ item: 'pen' })).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['pen']);
  });

  test('keys may be any text', async () => {
    await using set = await opened();
    const { stage, client } = set;
    const keys = [
      '\0',
      '"',
      '["a"]',
      '__proto__',
      'toString',
      '🔑'.repeat(128),
      ' ',
      'é',
      'e\u0301',
      '\ufffd',
      '\ud800\udc00',
    ];
    for (const idempotencyKey of keys)
      for (let i = 0; i < 2; i++) expect((await client.orders.place.rpc(book, { idempotencyKey })).ok).toBe(true);
    expect(stage.till.effects).toHaveLength(keys.length);
  });
});

describe('a call with an idempotency key', () => {
  async function opened(idempotency = { store: new MemoryIdempotencyStore(), ttlMs: 60_000 }) {
    const stage = await createShopStage(memory);
    stage.open(idempotency);
    const { transport, client } = stage.client();
    return { stage, transport, client, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
  }

  test('that its caller cancels goes on; whoever asks again gets the outcome', async () => {
    await using set = await opened();
    const { stage, client } = set;
    stage.till.hold();
    const controller = new AbortController();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a', signal: controller.signal });
    await stage.h.settled();
    controller.abort();
    expect(await result).toEqual(failed('CANCEL'));
    await stage.h.settled();
    expect(stage.server.openCalls).toBe(0);
    expect(stage.till.signals[0]?.aborted).toBe(false);
    const again = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.till.release();
    expect(await again).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('is aborted at the deadline of its first attempt; what it still comes to is kept', async () => {
    await using set = await opened();
    const { stage, client } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a', timeoutMs: 500 });
    await stage.h.advance(499);
    const again = client.orders.place.rpc(book, { idempotencyKey: 'a', timeoutMs: 5_000 });
    await stage.h.settled();
    expect(stage.till.signals[0]?.aborted).toBe(false);
    await stage.h.advance(1);
    expect(await result).toEqual(failed('DEADLINE_EXCEEDED'));
    expect(stage.till.signals[0]?.aborted).toBe(true);
    stage.till.release();
    expect(await again).toEqual(Ok({ number: 1 }));
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('leaves no timer of its deadline behind', async () => {
    await using set = await opened();
    const { stage, client } = set;
    await client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    const timers = stage.h.clock.pendingTimers;
    await client.orders.place.rpc(book, { idempotencyKey: 'b', timeoutMs: 60_000 });
    await stage.h.settled();
    expect(stage.h.clock.pendingTimers).toBe(timers);
  });

  test('keeps the time its caller gave it over any number of sessions', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a', timeoutMs: 5_000 });
    for (let i = 0; i < 4; i++) {
      await stage.h.advance(1_000);
      await stage.hardReconnect(transport);
    }
    let isDone = false;
    void result.then(() => {
      isDone = true;
    });
    await stage.h.advance(999);
    expect(isDone).toBe(false);
    await stage.h.advance(1);
    expect(await result).toEqual(Err({ code: 'DEADLINE_EXCEEDED', message: 'no answer within timeoutMs (5000)' }));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('is not repeated when the transport was closed, nor when the server refuses for good', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    transport.close();
    expect(await result).toEqual(failed('UNEXPECTED_DISCONNECT'));
    const second = stage.client({}, 'refused');
    const refused = second.client.orders.place.rpc(book, { idempotencyKey: 'b' });
    await stage.h.settled();
    stage.transport.setHandshake({ checkMetadata: () => undefined, validate: () => 'REJECTED_BY_CUSTOM_HANDLER' });
    await stage.hardReconnect(second.transport);
    expect(await refused).toEqual(failed('UNEXPECTED_DISCONNECT'));
    expect(second.transport.sessions.size).toBe(0);
  });

  test('repeats what was asked, whatever became of the object that asked it', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const order = { item: 'book' };
    const result = client.orders.place.rpc(order, { idempotencyKey: 'a' });
    await stage.h.settled();
    order.item = 'pen';
    await stage.hardReconnect(transport);
    stage.till.release();
    expect(await result).toEqual(Ok({ number: 1 }));
  });

  test('expires: then it is executed again, and its store is empty', async () => {
    const store = new MemoryIdempotencyStore();
    await using set = await opened({ store, ttlMs: 60_000 });
    const { stage, client } = set;
    const place = () => client.orders.place.rpc(book, { idempotencyKey: 'a' });
    expect(await place()).toEqual(Ok({ number: 1 }));
    await stage.h.advance(60_000);
    expect(await place()).toEqual(Ok({ number: 1 }));
    // A minute more than it promises, and until it looks for what has expired.
    await stage.h.advance(60_000);
    await stage.h.advance(15_000);
    expect(store.size).toBe(0);
    expect(store.bytes).toBe(0);
    expect(await place()).toEqual(Ok({ number: 2 }));
  });

  test('is of unknown outcome when its repeat comes later than outcomes are kept, for client and server alike', async () => {
    await using set = await opened({ store: new MemoryIdempotencyStore(), ttlMs: 10_000 });
    const { stage, client, transport } = set;
    stage.till.hold();
    const first = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    await stage.h.advance(10_000);
    transport.hardDisconnect();
    expect(await first).toEqual(failed('OUTCOME_UNKNOWN', expect.stringContaining('no')));
    // This one is sent in time, and arrives too late.
    const second = client.orders.place.rpc({ item: 'pen' }, { idempotencyKey: 'b' });
    await stage.hardReconnect(transport);
    expect(stage.till.effects).toEqual(['book', 'pen']);
    stage.h.link.setReachable(false);
    await stage.hardReconnect(transport);
    await stage.h.advance(10_001);
    stage.h.link.setReachable(true);
    await stage.h.advance(30_000);
    expect(await second).toMatchObject(
      Err({
        code: 'OUTCOME_UNKNOWN',
        message: expect.stringContaining('longer ago than outcomes are kept (10000 ms)'),
      }),
    );
    expect(stage.till.effects).toEqual(['book', 'pen']);
  });

  test('goes through middlewares when it is executed, and not when it is repeated', async () => {
    await using stage = await createShopStage(memory);
    let passed = 0;
    stage.open(
      { store: new MemoryIdempotencyStore() },
      {
        middlewares: [
          async ({ reqInit, next }) => {
            passed += 1;
            if (JSON.stringify(reqInit).includes('forbidden')) return Err({ code: 'FORBIDDEN', message: 'no' });
            return next();
          },
        ],
      },
    );
    const { client } = stage.client();
    for (let i = 0; i < 3; i++) {
      expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
      expect(await client.orders.place.rpc({ item: 'forbidden' }, { idempotencyKey: 'b' })).toEqual(
        Err({ code: 'FORBIDDEN', message: 'no' }),
      );
    }
    expect(passed).toBe(2);
    expect(stage.till.effects).toEqual(['book']);
  });

  test('belongs to its principal, whichever client it comes from', async () => {
    await using stage = await createShopStage(memory);
    stage.open(
      { store: new MemoryIdempotencyStore() },
      {
        handshakeOptions: {
          checkMetadata: () => undefined,
          validate: (metadata) => metadata,
          principal: (metadata) => ('user' in metadata ? String(metadata.user) : ''),
        },
      },
    );
    const as = (user: string, clientId: string) => {
      const { transport, client } = stage.client({}, clientId);
      transport.setHandshake({ construct: () => ({ user }) });
      return client.orders;
    };
    expect(await as('ann', 'c1').place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
    expect(await as('ann', 'c2').place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
    expect(await as('bob', 'c3').place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 2 }));
  });

  test('is told what came of it when its server closes; if that takes too long, that nobody knows', async () => {
    await using set = await opened();
    const { stage, client } = set;
    stage.till.hold();
    const quick = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    const closing = stage.server.close();
    await stage.h.settled();
    expect(stage.till.signals[0]?.aborted).toBe(true);
    const late = client.orders.place.rpc({ item: 'pen' }, { idempotencyKey: 'b' });
    expect(await late).toEqual(failed('CANCEL', 'server is closed'));
    stage.till.release();
    expect(await quick).toEqual(Ok({ number: 1 }));
    await closing;
    expect(stage.till.effects).toEqual(['book']);

    stage.crash();
    stage.open({ store: new MemoryIdempotencyStore() });
    const other = stage.client({}, 'other').client;
    stage.till.hold();
    const slow = other.orders.place.rpc(book, { idempotencyKey: 'c' });
    await stage.h.settled();
    const stopping = stage.server.close();
    await stage.h.advance(1_000);
    await stopping;
    expect(await slow).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.h.clock.pendingTimers).toBeGreaterThan(0); // of the transports
  });

  test('that is repeated to a server which is closed is of unknown outcome', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    const closing = stage.server.close();
    await stage.hardReconnect(transport);
    expect(await result).toEqual(failed('OUTCOME_UNKNOWN'));
    stage.till.release();
    await closing;
  });

  test('that is repeated to a server which keeps no outcomes is of unknown outcome', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.crash();
    stage.open(undefined);
    await stage.hardReconnect(transport);
    expect(await result).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('that is repeated to a server which knows no such procedure any more is of unknown outcome', async () => {
    const idempotency = { store: new MemoryIdempotencyStore(), ttlMs: 60_000 };
    await using set = await opened(idempotency);
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.crash();
    const next = createServer(stage.h.server(), {}, { idempotency });
    await stage.hardReconnect(transport);
    const why = "the call may have been executed before: couldn't find service orders";
    expect(await result).toEqual(failed('OUTCOME_UNKNOWN', why));
    // Of a call that was never made before it is known that nothing was executed.
    expect(await client.orders.place.rpc(book, { idempotencyKey: 'b' })).toEqual(failed('INVALID_REQUEST'));
    stage.till.release();
    await next.close();
  });

  test('stays of unknown outcome when the session that would have said so dies, too', async () => {
    await using set = await opened();
    const { stage, client, transport } = set;
    stage.till.hold();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.crash();
    stage.open({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });
    let deaths = 0;
    transport.addEventListener('sessionTransition', ({ state }) => {
      // The repeat has been framed by then, for a memory that never knew of the first attempt.
      if (state === 'Connected' && deaths++ === 0) transport.hardDisconnect();
    });
    await stage.hardReconnect(transport);
    await stage.hardReconnect(transport);
    expect(deaths).toBeGreaterThan(1);
    expect(await result).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('makes its client dial no more often than it does anyway', async () => {
    await using stage = await createShopStage(memory);
    stage.h.server({ maxSessions: 1 });
    stage.client({}, 'the one who is let in');
    await stage.h.settled();
    const made = { waiting: 0, idle: 0 };
    const controller = new AbortController();
    for (const clientId of ['waiting', 'idle'] as const) {
      const { transport, client } = stage.client({ maxJitterMs: 0 }, clientId);
      transport.addEventListener('sessionStatus', ({ status }) => {
        if (status === 'created') made[clientId] += 1;
      });
      const { signal } = controller;
      if (clientId === 'waiting') void client.orders.place.rpc(book, { idempotencyKey: 'a', signal });
    }
    await stage.h.advance(120_000);
    expect(made.idle).toBeGreaterThan(3);
    expect(made.waiting).toBeLessThanOrEqual(made.idle + 1);
    controller.abort();
  });

  test('of another kind than an rpc is a mistake of its caller, and an invalid request on the wire', async () => {
    await using set = await opened();
    const { client } = set;
    const options = { idempotencyKey: 'a' };
    const message = 'idempotencyKey is for an rpc';
    // @ts-expect-error a subscription takes no key
    expect(() => client.orders.follow.subscribe(book, options)).toThrow(message);
    // @ts-expect-error an upload takes no key
    expect(() => client.orders.fill.upload(book, options)).toThrow(message);
    // @ts-expect-error a stream takes no key
    expect(() => client.orders.talk.stream(book, options)).toThrow(message);
    // Called by hand as what it is not.
    const asRpc = client.orders as unknown as { fill: typeof client.orders.place }; // the server is to notice
    expect(await asRpc.fill.rpc(book, options)).toEqual(failed('INVALID_REQUEST', 'an idempotency key is for an rpc'));
  });

  test.each([
    { key: '', got: 'got 0' },
    { key: 'x'.repeat(257), got: 'expected 1 to 256 characters, got 257' },
    { key: 'a\ud800', got: 'got a lone surrogate' },
    { key: 7 as never, got: 'got number' },
    { key: null as never, got: 'got null' },
  ])('is refused where its key is none: $got', async ({ key, got }) => {
    await using set = await opened();
    await expect(set.client.orders.place.rpc(book, { idempotencyKey: key })).rejects.toThrow(got);
  });
});
