import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { createClient } from '../../router/client.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { BufferBudget } from '../../transport/budget.ts';
import type { ServerTransportOptions } from '../../transport/options.ts';
import { liveBytes } from './support/memory.ts';

/*
 * Of "bounded memory": what came for a call is there until its handler has read it or is done, though the call may have
 * ended long before.
 */

const KIBI = 1024;
const MEBI = KIBI * KIBI;
const UPLOADS = 8;
const piece = 'x'.repeat(8 * KIBI);
/** What is written to each upload. */
const WRITTEN = 5 * piece.length;

/** Handlers that wait until they are told to go on. */
class Gate {
  readonly #waiting: (() => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  pass(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  open(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Nobody will ever open it to them. */
  forget(): void {
    this.#waiting.length = 0;
  }
}

const Text = Type.Object({ text: Type.String() });
const Short = Type.Object({ text: Type.String({ maxLength: piece.length }) });
const Nothing = Type.Object({});

function servicesBehind(beforeReading: Gate, afterReading: Gate) {
  return createServiceSchema().define({
    /** Ends its own call, and then itself, in one turn. */
    refuse: Procedure.rpc({
      requestInit: Type.Object({ text: Type.String(), throws: Type.Boolean() }),
      responseData: Nothing,
      handler({ ctx, reqInit }) {
        ctx.cancel('not wanted');
        if (reqInit.throws) throw new Error('not at all');
        return Ok({});
      },
    }),
    /** Goes on though its handler has returned. */
    follow: Procedure.subscription({ requestInit: Text, responseData: Nothing, handler() {} }),
    slow: Procedure.rpc({
      requestInit: Text,
      responseData: Nothing,
      async handler() {
        await beforeReading.pass();
        return Ok({});
      },
    }),
    /** Gives up other calls when its own has ended. */
    guard: Procedure.rpc({
      requestInit: Nothing,
      responseData: Nothing,
      async handler({ ctx }) {
        ctx.signal.addEventListener('abort', () => {
          for (const readable of unread) readable.break();
        });
        await afterReading.pass();
        return Ok({});
      },
    }),
    unread: Procedure.upload({
      requestInit: Text,
      requestData: Text,
      responseData: Nothing,
      async handler({ reqReadable }) {
        unread.push(reqReadable);
        await beforeReading.pass();
        return Ok({});
      },
    }),
    /** Reads two, and then the rest. */
    halting: Procedure.upload({
      requestInit: Nothing,
      requestData: Short,
      responseData: Nothing,
      async handler({ reqReadable }) {
        await beforeReading.pass();
        const iterator = reqReadable[Symbol.asyncIterator]();
        for (let n = 0; n < 2; n++) await iterator.next();
        await afterReading.pass();
        while ((await iterator.next()).done !== true);
        await afterReading.pass();
        return Ok({});
      },
    }),
    upload: Procedure.upload({
      requestInit: Text,
      requestData: Text,
      responseData: Type.Object({ pieces: Type.Number() }),
      async handler({ reqReadable }) {
        await beforeReading.pass();
        let pieces = 0;
        for await (const { ok } of reqReadable) if (ok) pieces += 1;
        await afterReading.pass();
        return Ok({ pieces });
      },
    }),
  });
}

/** What some handlers were given to read. */
const unread: { break(): void }[] = [];

/** Says of whoever is counted that it never counts for less than nothing, which would be given to others. */
class WatchedBudget extends BufferBudget {
  least = 0;
  holders = 0;

  override changed(from: number, to: number): void {
    super.changed(from, to);
    this.least = Math.min(this.least, from, to, this.heldBytes);
    if (from === 0 && to > 0) this.holders += 1;
    if (from > 0 && to === 0) this.holders -= 1;
  }
}

async function setup(options: ServerTransportOptions = {}) {
  const harness = await createHarness({ transport: 'ws', codec: MsgpackCodec });
  const budget = new WatchedBudget(4 * MEBI);
  unread.length = 0;
  const [before, after] = [new Gate(), new Gate()];
  const app = servicesBehind(before, after);
  const transport = harness.server({ budget, ...options });
  const server = createServer(
    transport,
    { app },
    { idempotency: { store: new MemoryIdempotencyStore(), ttlMs: 60_000 } },
  );
  const clientTransport = harness.client({ budget: new BufferBudget(64 * MEBI) });
  const client = createClient<{ app: typeof app }>(clientTransport);
  await harness.settled();
  /** Calls with an init of so many bytes, each with some pieces that its handler does not read. */
  const upload = async (calls: number, initBytes = 1) => {
    const controllers = Array.from({ length: calls }, () => new AbortController());
    for (const { signal } of controllers) {
      const { reqWritable } = client.app.upload.upload({ text: 'x'.repeat(initBytes) }, { signal });
      for (let n = 0; n < WRITTEN / piece.length; n++) reqWritable.write({ text: piece });
    }
    await harness.settled();
    return controllers;
  };
  return {
    harness,
    budget,
    before,
    after,
    transport,
    clientTransport,
    upload,
    client,
    async [Symbol.asyncDispose]() {
      const closed = server.close();
      await harness.advance(2_000);
      await closed;
      await harness[Symbol.asyncDispose]();
      expect([budget.least, budget.holders >= 0]).toEqual([0, true]);
    },
  };
}

describe('what a call that has ended left unread', () => {
  test('counts until its handler has read it, and its init until the handler is done', async () => {
    await using set = await setup();
    for (const controller of await set.upload(UPLOADS, 20 * KIBI)) controller.abort();
    await set.harness.settled();
    expect(set.before.waiting).toBe(UPLOADS);
    expect(set.budget.heldBytes).toBeGreaterThan(UPLOADS * (WRITTEN + 20 * KIBI));
    set.before.open();
    await set.harness.settled();
    expect(set.after.waiting).toBe(UPLOADS);
    expect(set.budget.heldBytes).toBeGreaterThan(UPLOADS * 20 * KIBI);
    expect(set.budget.heldBytes).toBeLessThan(UPLOADS * 21 * KIBI);
    set.after.open();
    await set.harness.settled();
    expect(set.budget.heldBytes).toBe(0);
  });

  test('counts beyond the end of its session', async () => {
    await using set = await setup();
    await set.upload(UPLOADS, 20 * KIBI);
    set.transport.close();
    set.clientTransport.close();
    await set.harness.settled();
    expect(set.budget.heldBytes).toBeGreaterThan(UPLOADS * (WRITTEN + 20 * KIBI));
    set.before.open();
    await set.harness.settled();
    set.after.open();
    await set.harness.settled();
    expect(set.budget.heldBytes).toBe(0);
  });

  test('leaves a client that cancels again and again no more than its share of the whole', async () => {
    await using set = await setup();
    for (let n = 0; n < 20; n++) {
      for (const controller of await set.upload(UPLOADS)) controller.abort();
      await set.harness.settled();
      expect(set.budget.heldBytes).toBeLessThanOrEqual((4 * MEBI) / 2 + 64 * KIBI);
    }
    // Without that it would be 6.4 MB.
    expect(set.budget.heldBytes).toBeGreaterThan(MEBI);
    set.before.open();
    await set.harness.settled();
    set.after.open();
    // The client confirms what it was told with the next beat.
    await set.harness.advance(10_000);
    expect(set.budget.heldBytes).toBe(0);
  });

  test('does not count once nobody can read it any more, though its handler never ends', async () => {
    await using set = await setup();
    for (const controller of await set.upload(UPLOADS)) controller.abort();
    await set.harness.settled();
    set.before.forget();
    // What is collected is reported some turns of the loop later.
    for (let round = 0; round < 20 && set.budget.heldBytes > 0; round++) await liveBytes();
    expect(set.budget.heldBytes).toBe(0);
  });

  test('does not count where its handler had returned', async () => {
    await using set = await setup();
    const controller = new AbortController();
    const { signal } = controller;
    const { resReadable } = set.client.app.follow.subscribe({ text: 'x'.repeat(20 * KIBI) }, { signal });
    await set.harness.settled();
    expect(set.budget.heldBytes).toBeGreaterThan(20 * KIBI);
    controller.abort();
    await set.harness.advance(10_000);
    expect(set.budget.heldBytes).toBe(0);
    resReadable.break();
  });

  test('is nothing of a message that was refused', async () => {
    await using set = await setup();
    const { reqWritable } = set.client.app.halting.upload({});
    for (let n = 0; n < 3; n++) reqWritable.write({ text: piece });
    reqWritable.write({ text: `${piece}x` });
    await set.harness.advance(10_000);
    const counted = set.budget.heldBytes;
    expect(counted).toBeGreaterThan(3 * piece.length);
    expect(counted).toBeLessThan(3.1 * piece.length);
    set.before.open();
    await set.harness.settled();
    // It has read two of three.
    expect(set.budget.heldBytes).toBe(Math.ceil(counted / 3));
    set.after.open();
    await set.harness.settled();
    expect([set.budget.heldBytes, set.after.waiting]).toEqual([0, 1]);
    set.after.open();
  });

  test('is settled with its call where another one breaks it while their session ends', async () => {
    await using set = await setup();
    void set.client.app.guard.rpc({});
    await set.harness.settled();
    const { reqWritable } = set.client.app.unread.upload({ text: 'x'.repeat(2 * KIBI) });
    for (let n = 0; n < 4; n++) reqWritable.write({ text: piece });
    await set.harness.settled();
    expect(set.budget.heldBytes).toBeGreaterThan(4 * piece.length);
    set.transport.close();
    set.clientTransport.close();
    await set.harness.settled();
    set.before.open();
    set.after.open();
    await set.harness.settled();
    expect([set.budget.heldBytes, set.budget.holders]).toEqual([0, 0]);
  });

  test('takes of the room of its session what is unread, and not inits', async () => {
    await using set = await setup({
      maxSessionBufferBytes: 256 * KIBI,
      sessionHighWaterBytes: 64 * KIBI,
      maxMessageBytes: 64 * KIBI,
    });
    const controller = new AbortController();
    const { signal } = controller;
    for (let n = 0; n < 10; n++) void set.client.app.slow.rpc({ text: 'x'.repeat(40 * KIBI) }, { signal });
    await set.harness.advance(10_000);
    controller.abort();
    await set.harness.advance(10_000);
    expect(set.budget.heldBytes).toBeGreaterThan(400 * KIBI);
    for (const one of await set.upload(5)) one.abort();
    await set.harness.advance(10_000);
    // Besides them there is room for four pieces, and not for eight.
    const [sixth, seventh] = [set.client.app.upload.upload({ text: '' }), set.client.app.upload.upload({ text: '' })];
    for (const { reqWritable } of [sixth, seventh]) {
      for (let n = 0; n < 4; n++) reqWritable.write({ text: piece });
      await set.harness.settled();
    }
    expect([sixth, seventh].map(({ reqWritable }) => reqWritable.isWritable())).toEqual([true, false]);
    expect(await seventh.finalize()).toMatchObject({ payload: { code: 'SESSION_BUFFER_FULL' } });
    set.before.open();
    await set.harness.settled();
    set.after.open();
    const settled = sixth.finalize();
    await set.harness.settled();
    set.after.open();
    expect(await settled).toEqual(Ok({ pieces: 4 }));
    await set.harness.advance(10_000);
    expect(set.budget.heldBytes).toBe(0);
  });

  test.each([false, true])(
    'does not count where the handler ends its call and then itself (by throwing: %s)',
    async (throws) => {
      await using set = await setup();
      const text = 'x'.repeat(20 * KIBI);
      const result = set.client.app.refuse.rpc({ text, throws });
      await set.harness.advance(10_000);
      expect(await result).toMatchObject({ payload: { code: 'CANCEL' } });
      expect(set.budget.heldBytes).toBe(0);
    },
  );

  test('does not count where its handler runs apart: calls with a key have a store that bounds them', async () => {
    await using set = await setup();
    const controller = new AbortController();
    const { signal } = controller;
    const text = 'x'.repeat(20 * KIBI);
    const result = set.client.app.slow.rpc({ text }, { signal, idempotencyKey: 'one' });
    await set.harness.settled();
    expect(set.budget.heldBytes).toBeGreaterThan(text.length);
    controller.abort();
    await set.harness.advance(10_000);
    expect(await result).toMatchObject({ payload: { code: 'CANCEL' } });
    expect([set.before.waiting, set.budget.heldBytes]).toEqual([1, 0]);
    set.before.open();
  });
});
