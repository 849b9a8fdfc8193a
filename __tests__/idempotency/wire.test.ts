import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { createServer } from '../../router/server.ts';
import { Random } from '../../testUtil/sim/engine/random.ts';
import type { TransportMessage } from '../../transport/message.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { createShopStage, type ShopStage, shopOf } from '../support/shop.ts';

/** A client spoken by hand, which may say what ours does not. */
class HandMade {
  readonly #peer: BarePeer;
  readonly #stage: ShopStage;
  #seq = 0;
  terms: unknown;

  constructor(peer: BarePeer, stage: ShopStage) {
    this.#peer = peer;
    this.#stage = stage;
  }

  static async connect(stage: ShopStage, codec = JsonCodec): Promise<HandMade> {
    const made = new HandMade(new BarePeer(await stage.h.link.dial('SERVER'), codec), stage);
    const status = await made.#peer.handshake({ extensions: { idempotency: {} } });
    made.terms = status.extensions;
    return made;
  }

  get isClosed(): boolean {
    return this.#peer.isClosed;
  }

  /** Calls, and returns what is answered. */
  async call(
    idempotency: unknown,
    { procedureName = 'place', flags = 10, payload = { item: 'book' } as unknown } = {},
  ) {
    const streamId = `s${this.#seq}`;
    this.#peer.send(
      messageOf({
        seq: this.#seq++,
        streamId,
        controlFlags: flags,
        serviceName: 'orders',
        procedureName,
        tracing: { traceparent: '', tracestate: '' },
        idempotency,
        payload,
      }),
    );
    await this.#stage.h.settled();
    return this.#peer.messages.filter((message: TransportMessage) => message.streamId === streamId).at(-1);
  }

  close(): void {
    this.#peer.close();
  }
}

const refused = (code: string, message: unknown = expect.any(String)) => ({
  controlFlags: 4,
  payload: { ok: false, payload: { code, message } },
});
const placed = (number: number) => ({ controlFlags: 8, payload: { ok: true, payload: { number } } });

describe.each([JsonCodec, MsgpackCodec])('what a client says by hand of a key, in $name', (codec) => {
  async function opened(store = new MemoryIdempotencyStore()) {
    const stage = await createShopStage({ transport: 'memory', codec });
    stage.open({ store, ttlMs: 5_000 });
    const peer = await HandMade.connect(stage, codec);
    return { stage, store, peer, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
  }

  test('is answered with how the server keeps outcomes', async () => {
    await using set = await opened();
    const { instance } = set.store;
    expect(set.peer.terms).toEqual({ idempotency: { instance, ttlMs: 5_000, durable: false } });
    expect(await set.peer.call({ key: 'a' })).toMatchObject(placed(1));
    expect(await set.peer.call({ key: 'a' })).toMatchObject(placed(1));
    set.peer.close();
  });

  test('a repeat is executed where nothing is known of it, in time, by the memory that it was meant for', async () => {
    await using set = await opened();
    const { peer, store, stage } = set;
    const { instance } = store;
    expect(await peer.call({ key: 'a', instance, until: 5_000 })).toMatchObject(placed(1));
    expect(await peer.call({ key: 'a', instance, until: 5_000 })).toMatchObject(placed(1));
    for (const other of ['', 'another', `${instance}x`, '__proto__'])
      expect(await peer.call({ key: 'b', instance: other, until: 5_000 })).toMatchObject(refused('OUTCOME_UNKNOWN'));
    expect(await peer.call({ key: 'b', instance, until: 0 })).toMatchObject(refused('OUTCOME_UNKNOWN'));
    await stage.h.advance(100);
    expect(await peer.call({ key: 'b', instance, until: 99 })).toMatchObject(refused('OUTCOME_UNKNOWN'));
    expect(await peer.call({ key: 'b', instance, until: Number.MAX_SAFE_INTEGER })).toMatchObject(placed(2));
    peer.close();
  });

  test('is an invalid request where it is no key, or its call no rpc, and nothing is executed', async () => {
    await using set = await opened();
    const { peer, stage, store } = set;
    const fault = 'idempotencyKey: expected 1 to 256 characters, got ';
    expect(await peer.call({ key: '' })).toMatchObject(refused('INVALID_REQUEST', `${fault}0`));
    expect(await peer.call({ key: 'x'.repeat(257) })).toMatchObject(refused('INVALID_REQUEST', `${fault}257`));
    // MessagePack cannot carry it: it is another character there.
    if (codec === JsonCodec) expect(await peer.call({ key: '\udc00' })).toMatchObject(refused('INVALID_REQUEST'));
    for (const procedureName of ['follow', 'fill', 'talk'])
      expect(await peer.call({ key: 'a' }, { procedureName, flags: 2 })).toMatchObject(
        refused('INVALID_REQUEST', 'an idempotency key is for an rpc'),
      );
    expect(await peer.call({ key: 'a' }, { payload: { item: 7 } })).toMatchObject(
      refused('INVALID_REQUEST', 'procedure init failed validation'),
    );
    expect([stage.till.effects, store.size]).toEqual([[], 0]);
    // An invalid request has used up no key.
    expect(await peer.call({ key: 'a' })).toMatchObject(placed(1));
    peer.close();
  });

  test('means nothing to a server that took the transport over and keeps no outcomes, which says so', async () => {
    await using set = await opened();
    const { peer, stage, store } = set;
    await stage.server.close();
    const next = createServer(stage.transport, shopOf(stage.till));
    expect(await peer.call({ key: 'a' })).toMatchObject(
      refused('INVALID_REQUEST', 'this server keeps no outcomes of calls with an idempotency key'),
    );
    expect(await peer.call({ key: 'a', instance: store.instance, until: 5_000 })).toMatchObject(
      refused('OUTCOME_UNKNOWN'),
    );
    expect(stage.till.effects).toEqual([]);
    peer.close();
    await next.close();
  });

  test('whatever its text is, each is one call', async () => {
    await using set = await opened(new MemoryIdempotencyStore({ maxPrincipalShare: 1 }));
    const { peer, stage } = set;
    const random = new Random(11);
    const numbers = new Map<string, unknown>();
    for (let i = 0; i < 300; i++) {
      // Short and of few characters, so that some come again.
      const units = Array.from({ length: random.integer(1, 3) }, () =>
        random.pick(['a', '"', '\\', '\0', 'é', '\u2028', '😀', ',']),
      );
      const key = units.join('');
      const answer = await peer.call({ key });
      const expected = numbers.get(key) ?? placed(stage.till.effects.length);
      numbers.set(key, expected);
      expect(answer).toMatchObject(expected as object);
    }
    expect(stage.till.effects).toHaveLength(numbers.size);
    expect(numbers.size).toBeLessThan(300);
    peer.close();
  });
});
