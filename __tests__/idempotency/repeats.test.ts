import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { MAX_UNANSWERED, UnansweredCalls } from '../../router/unansweredCalls.ts';
import type { ClientTransportOptions } from '../../transport/options.ts';
import { DeviceClock } from '../support/deviceClock.ts';
import { createShopStage, type Shop, shopOf } from '../support/shop.ts';

const memory = { transport: 'memory', codec: JsonCodec } as const;
const book = { item: 'book' };
const failed = (code: string) => ({ ok: false, payload: { code, message: expect.any(String) } });
const keep = () => ({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });

async function opened(options: ClientTransportOptions = {}, compact = true) {
  const stage = await createShopStage(memory, compact);
  stage.open(keep());
  const { transport, client } = stage.client(options);
  const place = (idempotencyKey: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
    client.orders.place.rpc(book, { idempotencyKey, ...more });
  const goOffline = async (): Promise<void> => {
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    await stage.h.settled();
  };
  /** Another process, which knows nothing. */
  const restart = async (): Promise<void> => {
    stage.crash();
    stage.open(keep());
    stage.h.link.setReachable(true);
    await stage.hardReconnect(transport);
  };
  return {
    stage,
    transport,
    client,
    place,
    goOffline,
    restart,
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

describe('what a client says of the first attempt of a call with a key', () => {
  test.each([true, false])(
    'nothing, if no connection has carried it: the next server executes it (compact: %j)',
    async (compact) => {
      await using set = await opened({}, compact);
      const { stage, place, goOffline, restart } = set;
      await place('before');
      await goOffline();
      const placed = place('a');
      await stage.h.settled();
      await restart();
      expect(await placed).toEqual(Ok({ number: 2 }));
      expect(stage.till.effects).toEqual(['book', 'book']);
    },
  );

  test.each([true, false])(
    'where it went, if a connection took it and broke at once (compact: %j)',
    async (compact) => {
      await using set = await opened({}, compact);
      const { stage, place, restart } = set;
      await place('before');
      stage.till.hold();
      const placed = place('a');
      await stage.h.settled();
      await restart();
      expect(await placed).toEqual(failed('OUTCOME_UNKNOWN'));
      expect(stage.till.effects).toEqual(['book', 'book']);
    },
  );

  test('the time that passed while its device slept: an outcome that was forgotten meanwhile is not had again', async () => {
    await using stage = await createShopStage(memory);
    const store = new MemoryIdempotencyStore();
    stage.open({ store, ttlMs: 60_000 });
    const clock = new DeviceClock(stage.h.clock);
    const { client, transport } = stage.client({ clock });
    stage.till.hold();
    const placed = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    stage.till.release();
    await stage.h.settled();
    clock.sleep();
    await stage.h.advance(3_600_000);
    clock.wake();
    expect(store.size).toBe(0);
    stage.h.link.setReachable(true);
    await stage.hardReconnect(transport);
    expect(await placed).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('the same, if it was about to ask again when it fell asleep', async () => {
    await using stage = await createShopStage(memory);
    stage.open(keep());
    const clock = new DeviceClock(stage.h.clock);
    const { client, transport } = stage.client({ clock });
    const placed = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    stage.till.hold();
    await stage.h.settled();
    stage.h.link.setReachable(false);
    await stage.hardReconnect(transport);
    stage.till.release();
    await stage.h.settled();
    clock.sleep();
    await stage.h.advance(3_600_000);
    clock.wake();
    stage.h.link.setReachable(true);
    transport.endBackoff();
    await stage.h.settled();
    expect(await placed).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
  });
});

describe('a call with a key that is made again by the application', () => {
  test.each(['DEADLINE_EXCEEDED', 'CANCEL'])(
    'after %s is a repeat: a server that lost its memory executes nothing',
    async (code) => {
      await using set = await opened();
      const { stage, place, restart } = set;
      stage.till.hold();
      const controller = new AbortController();
      const first = place('a', { timeoutMs: 500, signal: controller.signal });
      await stage.h.settled();
      if (code === 'CANCEL') controller.abort();
      else await stage.h.advance(500);
      expect(await first).toEqual(failed(code));
      await restart();
      for (let i = 0; i < 2; i++) expect(await place('a')).toEqual(failed('OUTCOME_UNKNOWN'));
      stage.till.release();
      expect(await place('b')).toEqual(Ok({ number: 2 }));
      expect(stage.till.effects).toEqual(['book', 'book']);
    },
  );

  test('after UNEXPECTED_DISCONNECT, of a server that refused the client for a while, is a repeat, too', async () => {
    await using set = await opened();
    const { stage, place, restart, transport } = set;
    stage.till.hold();
    const first = place('a');
    await stage.h.settled();
    stage.transport.setHandshake({ checkMetadata: () => undefined, validate: () => 'REJECTED_BY_CUSTOM_HANDLER' });
    await stage.hardReconnect(transport);
    expect(await first).toEqual(failed('UNEXPECTED_DISCONNECT'));
    await restart();
    expect(await place('a')).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book']);
  });

  test('is a repeat of one that was given up offline: its session sent it all the same', async () => {
    await using set = await opened();
    const { stage, place, goOffline, restart, transport } = set;
    await place('before');
    await goOffline();
    const controller = new AbortController();
    const first = place('a', { signal: controller.signal });
    await stage.h.settled();
    controller.abort();
    expect(await first).toEqual(failed('CANCEL'));
    stage.h.link.setReachable(true);
    transport.endBackoff();
    await stage.h.settled();
    expect(stage.till.effects).toEqual(['book', 'book']);
    await restart();
    expect(await place('a')).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(stage.till.effects).toEqual(['book', 'book']);
  });

  test('while it still waits for its next session is a repeat, too', async () => {
    await using set = await opened();
    const { stage, place, transport } = set;
    stage.till.hold();
    const first = place('a');
    await stage.h.settled();
    stage.crash();
    stage.open(keep());
    transport.hardDisconnect();
    const second = place('a');
    await stage.h.settled();
    transport.endBackoff();
    await stage.h.settled();
    expect(await Promise.all([first, second])).toEqual([failed('OUTCOME_UNKNOWN'), failed('OUTCOME_UNKNOWN')]);
    expect(stage.till.effects).toEqual(['book']);
  });

  test('is one for every client on the transport, of the procedure and the server it was made to', async () => {
    await using set = await opened();
    const { stage, place, transport, client, restart } = set;
    stage.till.hold();
    const first = place('a', { timeoutMs: 500 });
    await stage.h.advance(500);
    expect(await first).toEqual(failed('DEADLINE_EXCEEDED'));
    await restart();
    stage.till.release();
    const other = createClient<Shop>(transport);
    expect(await other.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(await client.orders.refund.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 2 }));
    const elsewhere = createServer(stage.h.server({}, 'ELSEWHERE'), shopOf(stage.till), { idempotency: keep() });
    const there = createClient<Shop>(transport, 'ELSEWHERE');
    expect(await there.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 3 }));
    await elsewhere.close();
  });

  test('gets its outcome from a server that knows it, and is a call like any other once it was answered', async () => {
    await using set = await opened();
    const { stage, place, restart } = set;
    stage.till.hold();
    const first = place('a', { timeoutMs: 500 });
    await stage.h.advance(500);
    expect(await first).toEqual(failed('DEADLINE_EXCEEDED'));
    stage.till.release();
    expect(await place('a')).toEqual(Ok({ number: 1 }));
    await restart();
    expect(await place('a')).toEqual(Ok({ number: 2 }));
  });

  test('is executed where nothing of it was ever sent, or where outcomes are not kept for so long', async () => {
    await using set = await opened();
    const { stage, place, goOffline, restart } = set;
    stage.till.hold();
    const sent = place('a', { timeoutMs: 500 });
    await stage.h.advance(500);
    expect(await sent).toEqual(failed('DEADLINE_EXCEEDED'));
    await goOffline();
    await stage.h.advance(60_000);
    await restart();
    stage.till.release();
    expect(await place('a')).toEqual(Ok({ number: 2 }));
    const aborted = AbortSignal.abort();
    expect(await place('b', { signal: aborted })).toEqual(failed('CANCEL'));
    await restart();
    expect(await place('b')).toEqual(Ok({ number: 3 }));
  });

  test('is executed after a server that was closing refused it unseen', async () => {
    await using set = await opened();
    const { stage, place, restart } = set;
    await place('before');
    await stage.server.close();
    expect(await place('a')).toEqual(failed('CANCEL'));
    await restart();
    expect(await place('a')).toEqual(Ok({ number: 2 }));
  });
});

describe('a repeat', () => {
  test.each([
    { limit: 'calls', options: { maxStreamsPerSession: 1 }, item: 'book' },
    {
      limit: 'bytes',
      options: { maxMessageBytes: 5_000, maxSessionBufferBytes: 5_000, sessionHighWaterBytes: 5_000 },
      item: 'x'.repeat(3_700),
    },
  ])('that its session has no room for is of unknown outcome ($limit)', async ({ options, item }) => {
    await using set = await opened(options);
    const { stage, transport, place, client } = set;
    stage.till.hold();
    const placed = place('a');
    await stage.h.settled();
    const others: Promise<unknown>[] = [];
    transport.addEventListener('sessionStatus', ({ status }) => {
      if (status === 'created') others.push(client.orders.refund.rpc({ item }));
    });
    await stage.hardReconnect(transport);
    expect(await placed).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(await Promise.all(others)).toEqual([Ok({ number: 2 })]);
  });

  test('waits for the next session, even of a client whose calls do not', async () => {
    await using set = await opened();
    const { stage, transport } = set;
    await stage.h.settled();
    const client = createClient<Shop>(transport, 'SERVER', { connectOnInvoke: false });
    stage.till.hold();
    const placed = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.hardReconnect(transport);
    stage.till.release();
    expect(await placed).toEqual(Ok({ number: 1 }));
  });

  test('that comes after the time its caller gave it is not made', async () => {
    await using set = await opened({ sessionDisconnectGraceMs: 30_000 });
    const { stage, place, goOffline } = set;
    stage.till.hold();
    const placed = place('a', { timeoutMs: 35_000 });
    await stage.h.settled();
    await goOffline();
    // The session and the time of the call are over at the same moment, and the session's timer is the earlier one.
    await stage.h.clock.stall(40_000);
    expect(await placed).toEqual(failed('DEADLINE_EXCEEDED'));
  });
});

test('a principal is not the client whose id is the same text, nor a service another one with the same procedures', async () => {
  await using stage = await createShopStage(memory);
  const idempotency = keep();
  stage.open(idempotency);
  const services = { ...shopOf(stage.till), returns: shopOf(stage.till).orders };
  const strict = createServer(stage.h.server({}, 'STRICT'), services, {
    idempotency,
    handshakeOptions: {
      checkMetadata: () => undefined,
      validate: () => ({}),
      principal: () => 'ann',
    },
  });
  const { client, transport } = stage.client({}, 'ann');
  const there = createClient<typeof services>(transport, 'STRICT');
  expect(await client.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
  expect(await there.orders.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 2 }));
  expect(await there.returns.place.rpc(book, { idempotencyKey: 'a' })).toEqual(Ok({ number: 3 }));
  await strict.close();
});

test('what was never answered is remembered up to a number of calls, and no longer than servers do', async () => {
  await using stage = await createShopStage(memory);
  const { clock } = stage.h;
  const calls = new UnansweredCalls(clock);
  const first = { instance: 'a', knownUntil: clock.now() + 1_000, knownUntilWall: clock.wallNow() + 1_000 };
  for (let i = 0; i < MAX_UNANSWERED; i++) calls.remember(`${i}`, first);
  calls.remember('0', { ...first, instance: 'later' });
  expect(calls.recall('0')).toBe(first);
  calls.remember('one more', first);
  expect(calls.size).toBe(MAX_UNANSWERED);
  expect([calls.recall('0'), calls.recall('1')]).toEqual([undefined, first]);
  calls.forget('1');
  expect(calls.recall('1')).toBeUndefined();
  await stage.h.advance(999);
  expect(calls.recall('2')).toBe(first);
  await stage.h.advance(1);
  expect(calls.recall('2')).toBeUndefined();
  expect(calls.size).toBe(MAX_UNANSWERED - 2);
});
