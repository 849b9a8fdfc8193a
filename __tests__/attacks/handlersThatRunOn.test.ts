import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { createClient } from '../../router/client.ts';
import { Procedure } from '../../router/procedures.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { BufferBudget } from '../../transport/budget.ts';
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

function servicesBehind(beforeReading: Gate, afterReading: Gate) {
  const Text = Type.Object({ text: Type.String() });
  return createServiceSchema().define({
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

async function setup() {
  const harness = await createHarness({ transport: 'ws', codec: MsgpackCodec });
  const budget = new BufferBudget(4 * MEBI);
  const [before, after] = [new Gate(), new Gate()];
  const app = servicesBehind(before, after);
  const transport = harness.server({ budget });
  createServer(transport, { app });
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
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
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
    const [controller] = await set.upload(1, 20 * KIBI);
    set.before.open();
    await set.harness.settled();
    expect(set.budget.heldBytes).toBeGreaterThan(20 * KIBI);
    controller?.abort();
    await set.harness.settled();
    expect(set.after.waiting).toBe(1);
    set.after.open();
    await set.harness.settled();
    expect(set.budget.heldBytes).toBe(0);
  });
});
