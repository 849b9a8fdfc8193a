import { Type } from '@sinclair/typebox';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { sendOrEnd } from '../router/callLifecycle.ts';
import { createClient } from '../router/client.ts';
import { CallEndedError } from '../router/errors.ts';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServiceSchema } from '../router/services.ts';
import { closeAllConnections } from '../testUtil/connections.ts';
import { createHarness } from '../testUtil/harness.ts';
import { matrix } from '../testUtil/matrix.ts';
import { BufferBudget } from '../transport/budget.ts';
import { SessionBufferFullError } from '../transport/errors.ts';
import { ControlFlags, cancelMessage } from '../transport/message.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../transport/options.ts';
import type { SessionCore } from '../transport/session/core.ts';
import { StreamFlow } from '../transport/session/streamFlow.ts';
import { noExtensions } from './support/extensions.ts';

const WINDOW = 16 * 1024;
const ITEM = 1_000;
const text = 'x'.repeat(ITEM);
/** Items that surely exceed a window, and that surely fit it. */
const MANY = 100;
const FEW = 5;

const Item = Type.Object({ i: Type.Number(), text: Type.String() });

/** Something to wait for that the test opens. */
class Gate {
  readonly #waiting: (() => void)[] = [];
  #isOpen = false;

  open(): void {
    this.#isOpen = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  close(): void {
    this.#isOpen = false;
  }

  passed(): Promise<void> {
    return this.#isOpen ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** What the handlers wait for, and what they saw. */
class Stage {
  readonly readersMayRead = new Gate();
  readonly read: number[] = [];
  readonly written: { accepted: number; refused: boolean }[] = [];

  services() {
    const stage = this;
    return {
      flow: createServiceSchema().define({
        upload: Procedure.upload({
          requestInit: Type.Object({}),
          requestData: Item,
          responseData: Type.Object({ count: Type.Number() }),
          async handler({ reqReadable }) {
            await stage.readersMayRead.passed();
            for await (const result of reqReadable) if (result.ok) stage.read.push(result.payload.i);
            return Ok({ count: stage.read.length });
          },
        }),
        impatient: Procedure.upload({
          requestInit: Type.Object({}),
          requestData: Item,
          responseData: Type.Object({}),
          async handler() {
            await stage.readersMayRead.passed();
            return Ok({});
          },
        }),
        /** Takes what is small on its way, and large when it has arrived. */
        swelling: Procedure.upload({
          requestInit: Type.Object({ items: Type.Array(Type.Object({})) }),
          requestData: Type.Object({ items: Type.Array(Type.Object({})) }),
          responseData: Type.Object({}),
          async handler({ reqReadable }) {
            await stage.readersMayRead.passed();
            await reqReadable.collect();
            return Ok({});
          },
        }),
        /** Gives up while its client waits for credit. */
        refuse: Procedure.upload({
          requestInit: Type.Object({ pad: Type.Optional(Type.String()) }),
          requestData: Item,
          responseData: Type.Object({}),
          async handler({ ctx }) {
            await stage.readersMayRead.passed();
            return ctx.cancel('not wanted');
          },
        }),
        /** Says more than anybody reads, and stays. */
        loud: Procedure.subscription({
          requestInit: Type.Object({ count: Type.Number() }),
          responseData: Item,
          async handler({ reqInit: { count }, resWritable }) {
            for (let i = 0; i < count; i++) resWritable.write(Ok({ i, text }));
          },
        }),
        ignore: Procedure.stream({
          requestInit: Type.Object({}),
          requestData: Item,
          responseData: Item,
          async handler({ resWritable }) {
            resWritable.close();
          },
        }),
        heedful: Procedure.subscription({
          requestInit: Type.Object({ count: Type.Number() }),
          responseData: Item,
          async handler({ reqInit: { count }, resWritable }) {
            for (let i = 0; i < count; i++) {
              if (!resWritable.write(Ok({ i, text })) && resWritable.isWritable())
                await resWritable.waitForWriteReady().catch(() => undefined);
              stage.written.push({ accepted: i, refused: false });
            }
            resWritable.close();
          },
        }),
        heedless: Procedure.subscription({
          requestInit: Type.Object({ count: Type.Number() }),
          responseData: Item,
          async handler({ reqInit: { count }, resWritable }) {
            for (let i = 0; i < count; i++) resWritable.write(Ok({ i, text }));
            resWritable.close();
          },
        }),
        add: Procedure.rpc({
          requestInit: Type.Object({ n: Type.Number() }),
          responseData: Type.Object({ n: Type.Number() }),
          async handler({ reqInit: { n } }) {
            return Ok({ n: n + 1 });
          },
        }),
      }),
    };
  }
}

const tight = {
  maxSessionBufferBytes: 256 * 1024,
  maxMessageBytes: 32 * 1024,
  sessionHighWaterBytes: WINDOW,
  ackAfterBytes: 2 * ITEM,
};
const item = { controlFlags: 0, payload: { ok: true, payload: { i: 0, text } } };

/** Says on a stream what there is room for. */
function fill(core: SessionCore, streamId: string): void {
  expect(() => {
    for (;;) core.send({ streamId, ...item });
  }).toThrow(SessionBufferFullError);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe.each(matrix)('flow control over $name', ({ transport, codec }) => {
  const opened: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
  });

  async function setup(
    options: ClientTransportOptions & ServerTransportOptions = {},
    clientOptions: ClientTransportOptions = {},
  ) {
    const harness = await createHarness({ transport, codec });
    opened.push(harness);
    const stage = new Stage();
    const budget = new BufferBudget(64 * 1024 * 1024);
    const common = { readableHighWaterBytes: WINDOW, budget, ...options };
    const serverTransport = harness.server(common);
    const server = createServer(serverTransport, stage.services());
    const clientTransport = harness.client({ ...common, ...clientOptions }, 'client-1');
    const client = createClient<ReturnType<Stage['services']>>(clientTransport);
    await harness.settled();
    const coreOf = (side: 'client' | 'server') => {
      const sessions = side === 'client' ? clientTransport.sessions : serverTransport.sessions;
      const session = sessions.get(side === 'client' ? 'SERVER' : 'client-1');
      if (session === undefined) throw new Error(`expected a session of the ${side}`);
      return session.core;
    };
    return { harness, stage, server, serverTransport, clientTransport, client, coreOf, budget };
  }

  test('an upload that nobody reads waits at its writer, and all of it arrives once it is read', async () => {
    const { harness, stage, client, coreOf, budget } = await setup();
    const { reqWritable, finalize } = client.flow.upload.upload({});
    let isWaiting = 0;
    for (let i = 0; i < MANY; i++) if (!reqWritable.write({ i, text })) isWaiting += 1;
    await harness.settled();
    await harness.advance(11_000);
    expect(isWaiting).toBeGreaterThan(MANY / 2);
    // What arrived is one window and one message at most; the rest is here, and acknowledged is only what has left.
    expect(coreOf('client').bufferedBytes).toBeGreaterThan((MANY - 30) * ITEM);
    expect(budget.heldBytes).toBeLessThan(MANY * (ITEM + 300) + 2 * WINDOW);
    let isReady = false;
    void reqWritable.waitForWriteReady().then(() => {
      isReady = true;
    });
    await harness.settled();
    expect(isReady).toBe(false);
    stage.readersMayRead.open();
    await harness.settled();
    expect(isReady).toBe(true);
    const result = finalize();
    await harness.settled();
    expect(await result).toEqual({ ok: true, payload: { count: MANY } });
    expect(stage.read).toEqual(upTo(MANY));
    await harness.advance(11_000);
    expect(budget.heldBytes).toBe(0);
  });

  test('a reader that stops holds up its own writer, and no other call', async () => {
    const { harness, stage, client } = await setup();
    const stopped = client.flow.heedful.subscribe({ count: MANY });
    await harness.settled();
    await harness.advance(11_000);
    const written = stage.written.length;
    expect(written).toBeLessThan(30);
    const iterated = client.flow.heedful.subscribe({ count: MANY }).resReadable.collect();
    const sum = client.flow.add.rpc({ n: 1 });
    await harness.settled();
    expect(await sum).toEqual({ ok: true, payload: { n: 2 } });
    expect(await iterated).toHaveLength(MANY);
    expect(stage.written.length).toBe(written + MANY);
    // It goes on where it stopped.
    const rest = stopped.resReadable.collect();
    await harness.settled();
    expect((await rest).map((result) => result.ok && result.payload.i)).toEqual(upTo(MANY));
  });

  test('what a call said last arrives though the call has ended: its reader was slow, not its writer', async () => {
    const { harness, server, client } = await setup();
    const { resReadable } = client.flow.heedless.subscribe({ count: MANY });
    await harness.settled();
    expect(server.openCalls).toBe(0);
    const results = resReadable.collect();
    await harness.settled();
    expect((await results).map((result) => result.ok && result.payload.i)).toEqual(upTo(MANY));
  });

  test('who gives up a call whose last words wait for credit frees them', async () => {
    const { harness, client, coreOf } = await setup();
    const { resReadable } = client.flow.heedless.subscribe({ count: MANY });
    await harness.settled();
    expect(coreOf('server').bufferedBytes).toBeGreaterThan(ITEM);
    resReadable.break();
    await harness.settled();
    await harness.advance(11_000);
    expect(coreOf('server').bufferedBytes).toBe(0);
    expect(coreOf('server').streamCount).toBe(0);
  });

  test('who gives up a call that goes on, and waits for credit, frees what it said', async () => {
    const { harness, client, coreOf, budget } = await setup();
    const { resReadable } = client.flow.loud.subscribe({ count: MANY });
    await harness.settled();
    expect(coreOf('server').bufferedBytes).toBeGreaterThan(ITEM);
    resReadable.break();
    await harness.settled();
    await harness.advance(11_000);
    expect(coreOf('server').bufferedBytes).toBe(0);
    expect(coreOf('server').streamCount).toBe(0);
    expect(budget.heldBytes).toBe(0);
  });

  test('a server that gives up an upload frees what its client still wanted to say, its close included', async () => {
    const { harness, stage, client, coreOf, budget } = await setup();
    const { reqWritable, finalize } = client.flow.refuse.upload({});
    for (let i = 0; i < MANY; i++) reqWritable.write({ i, text });
    const result = finalize();
    await harness.settled();
    expect(coreOf('client').bufferedBytes).toBeGreaterThan(ITEM);
    stage.readersMayRead.open();
    await harness.settled();
    expect(await result).toMatchObject({ ok: false, payload: { code: 'CANCEL' } });
    await harness.advance(11_000);
    for (const side of ['client', 'server'] as const) {
      expect(coreOf(side).bufferedBytes).toBe(0);
      expect(coreOf(side).streamCount).toBe(0);
    }
    expect(budget.heldBytes).toBe(0);
  });

  test('what waits for the reader of one stream holds up the writer of no other', async () => {
    const { harness, client, coreOf } = await setup({ sessionHighWaterBytes: 2 * WINDOW });
    const loud = client.flow.loud.subscribe({ count: MANY });
    await harness.settled();
    await harness.advance(11_000);
    expect(coreOf('server').bufferedBytes).toBeGreaterThan(2 * WINDOW);
    const heard = client.flow.heedful.subscribe({ count: MANY }).resReadable.collect();
    await harness.settled();
    expect(await heard).toHaveLength(MANY);
    loud.resReadable.break();
    await harness.settled();
  });

  test('what waits for the readers of many streams leaves room for a writer that heeds backpressure', async () => {
    const { harness, client, coreOf } = await setup(tight, { maxSessionBufferBytes: 1024 * 1024 });
    const loud = upTo(8).map(() => client.flow.loud.subscribe({ count: 17 }));
    await harness.settled();
    await harness.advance(6_000);
    const core = coreOf('server');
    for (const streamId of core.openStreams) fill(core, streamId);
    expect(core.bufferedBytes).toBeGreaterThan(192 * 1024);
    const heard = client.flow.heedful.subscribe({ count: MANY }).resReadable.collect();
    await harness.settled();
    expect((await heard).filter(({ ok }) => ok)).toHaveLength(MANY);
    for (const { resReadable } of loud) resReadable.break();
    await harness.settled();
  });

  test('what waits for the readers of many streams leaves room for the last value of one that has no credit and nothing waiting', async () => {
    const { harness, client, coreOf } = await setup(tight, { maxSessionBufferBytes: 1024 * 1024 });
    const last = client.flow.loud.subscribe({ count: 0 });
    await harness.settled();
    const core = coreOf('server');
    const [streamId = ''] = core.openStreams;
    let written = 0;
    for (; core.isWriteReady(streamId); written++) {
      core.send({ streamId, ...item });
      await harness.settled();
    }
    const loud = upTo(8).map(() => client.flow.loud.subscribe({ count: 17 }));
    await harness.settled();
    await harness.advance(6_000);
    for (const other of core.openStreams) if (other !== streamId) fill(core, other);
    core.send({ streamId, ...item, controlFlags: ControlFlags.StreamClose });
    const heard = last.resReadable.collect();
    await harness.settled();
    expect((await heard).map(({ ok }) => ok)).toEqual(upTo(written + 1).map(() => true));
    for (const { resReadable } of loud) resReadable.break();
    // The call is the server's own to end: its last value went past it here.
    core.closeStream(streamId);
    await harness.settled();
  });

  test('the first messages of many streams that nobody reads are bounded like any others', async () => {
    const limits = { maxSessionBufferBytes: 64 * 1024, maxMessageBytes: 32 * 1024, sessionHighWaterBytes: 64 * 1024 };
    const { harness, stage, client, coreOf, budget } = await setup(limits);
    const uploads = upTo(20).map(() => client.flow.impatient.upload({}));
    for (const { reqWritable } of uploads) {
      if (reqWritable.isWritable()) reqWritable.write({ i: 0, text: 'x'.repeat(20_000) });
      await harness.settled();
      await harness.advance(6_000);
    }
    expect(budget.heldBytes).toBeLessThan(64 * 1024);
    expect(coreOf('server').streamCount).toBe(3);
    stage.readersMayRead.open();
    const results = Promise.all(uploads.map(({ finalize }) => finalize()));
    await harness.settled();
    expect((await results).map((result) => (result.ok ? 'ok' : result.payload.code))).toEqual(
      upTo(20).map((n) => (n < 3 ? 'ok' : 'SESSION_BUFFER_FULL')),
    );
  });

  test('what decodes to many times its bytes counts for more than those, as a message, an init or a last value', async () => {
    const items = upTo(4_000).map(() => ({}));
    const empty = { items: [] };
    const says = {
      message: () => {
        const call = client.flow.swelling.upload(empty);
        call.reqWritable.write({ items });
        call.reqWritable.close();
        return call.finalize();
      },
      init: () => {
        const call = client.flow.swelling.upload({ items });
        call.reqWritable.close();
        return call.finalize();
      },
      'last value': () => {
        const call = client.flow.swelling.upload(empty);
        call.reqWritable.close({ items });
        return call.finalize();
      },
    };
    const budget = new BufferBudget(256 * 1024);
    const { harness, stage, server, client } = await setup({ budget, readableHighWaterBytes: 64 * 1024 });
    for (const say of Object.values(says)) {
      const calls = [];
      for (let n = 0; n < 6; n++) {
        calls.push(say());
        await harness.settled();
        await harness.advance(11_000);
      }
      expect(server.openCalls).toBe(3);
      expect(budget.heldBytes).toBeGreaterThan(3 * 36_000);
      expect(budget.heldBytes).toBeLessThan(3 * 37_000);
      stage.readersMayRead.open();
      await harness.settled();
      const codes = (await Promise.all(calls)).map((result) => (result.ok ? 'ok' : result.payload.code));
      expect(codes).toEqual(upTo(6).map((n) => (n < 3 ? 'ok' : 'SESSION_BUFFER_FULL')));
      await harness.advance(11_000);
      expect(budget.heldBytes).toBe(0);
      stage.readersMayRead.close();
    }
  });

  test('a peer whose calls end again and again, and that never hears of it, uses up what is its own', async () => {
    const budget = new BufferBudget(256 * 1024);
    const { harness, client, clientTransport, serverTransport, coreOf } = await setup({
      budget,
      maxSessionBufferBytes: 1024 * 1024,
      maxMessageBytes: 16 * 1024,
    });
    const sum = client.flow.add.rpc({ n: 1 });
    await harness.settled();
    expect(await sum).toMatchObject({ ok: true });
    const core = coreOf('server');
    harness.link.setReachable(false);
    closeAllConnections(clientTransport);
    await harness.settled();
    let ended = 0;
    for (; core.isOpen; ended++) sendOrEnd(core, cancelMessage('7', { ok: false }));
    expect(ended).toBeGreaterThan(100);
    expect(budget.heldBytes).toBeLessThan(256 * 1024);
    expect(serverTransport.sessions.size).toBe(0);
  });

  test('a session that holds much says how its calls end, though others have used the budget up', async () => {
    const budget = new BufferBudget(1024 * 1024);
    const { harness, client, clientTransport, coreOf } = await setup({ budget, maxMessageBytes: 512 * 1024 });
    const sum = client.flow.add.rpc({ n: 1 });
    await harness.settled();
    expect(await sum).toMatchObject({ ok: true });
    const core = coreOf('server');
    harness.link.setReachable(false);
    closeAllConnections(clientTransport);
    await harness.settled();
    core.send({ streamId: '7', controlFlags: 0, payload: 'x'.repeat(300_000) });
    const held = core.bufferedBytes;
    const others = 1024 * 1024 - budget.heldBytes - 10_000;
    budget.changed(0, others);
    for (let n = 0; n < 5; n++) sendOrEnd(core, cancelMessage('7', { ok: false }));
    expect([core.isOpen, core.bufferedBytes > held]).toEqual([true, true]);
    // When the peer has confirmed as much it may be said again.
    budget.changed(others, 0);
    core.confirm(core.nextSeq);
    core.send({ streamId: '7', controlFlags: 0, payload: 'x'.repeat(300_000) });
    budget.changed(0, 1024 * 1024 - budget.heldBytes - 10_000);
    for (let n = 0; n < 5; n++) sendOrEnd(core, cancelMessage('7', { ok: false }));
    expect(core.isOpen).toBe(true);
    for (let n = 0; n < 100; n++) {
      core.confirm(core.nextSeq);
      sendOrEnd(core, cancelMessage('7', { ok: false }));
    }
    expect(core.isOpen).toBe(true);
    for (let n = 0; n < 1_000; n++) sendOrEnd(core, cancelMessage('7', { ok: false }));
    expect(core.isOpen).toBe(false);
  });

  test('inits that calls keep are counted, and calls refused by name when there is no room for another one', async () => {
    const budget = new BufferBudget(256 * 1024);
    const { harness, stage, server, client } = await setup({ budget, maxMessageBytes: 32 * 1024 });
    const init = { pad: 'x'.repeat(20_000) };
    // The server counts and so does the client, in one process.
    const calls = [];
    for (let n = 0; n < 12; n++) {
      calls.push(client.flow.refuse.upload(init).finalize());
      await harness.settled();
      await harness.advance(11_000);
    }
    expect(server.openCalls).toBeGreaterThan(3);
    expect(server.openCalls).toBeLessThan(12);
    expect(budget.heldBytes).toBeGreaterThan(server.openCalls * 20_000);
    expect(budget.heldBytes).toBeLessThan(server.openCalls * 21_000);
    stage.readersMayRead.open();
    await harness.settled();
    const codes = (await Promise.all(calls)).map((result) => (result.ok ? 'ok' : result.payload.code));
    expect(new Set(codes)).toEqual(new Set(['CANCEL', 'SESSION_BUFFER_FULL']));
    await harness.advance(11_000);
    expect(budget.heldBytes).toBe(0);
  });

  test('a last value that nobody reads yet is counted', async () => {
    const { harness, stage, client, budget } = await setup({ maxMessageBytes: 64 * 1024 });
    const { reqWritable, finalize } = client.flow.impatient.upload({});
    reqWritable.close({ i: 0, text: 'x'.repeat(40_000) });
    await harness.settled();
    await harness.advance(11_000);
    expect(budget.heldBytes).toBeGreaterThan(40_000);
    expect(budget.heldBytes).toBeLessThan(41_000);
    stage.readersMayRead.open();
    const result = finalize();
    await harness.settled();
    expect(await result).toMatchObject({ ok: true });
    await harness.advance(11_000);
    expect(budget.heldBytes).toBe(0);
  });

  describe('of the budget of all sessions', () => {
    const MAX = 1024 * 1024;
    const HALF = MAX / 2;
    const OWN = 64 * 1024;
    const unbounded = { budget: new BufferBudget(1e9) };

    test('a session that keeps an init gets no more for what nobody reads', async () => {
      const budget = new BufferBudget(MAX);
      const { harness, stage, client } = await setup({ budget }, unbounded);
      const calls = [client.flow.refuse.upload({ pad: 'x'.repeat(60_000) })];
      await harness.settled();
      for (let n = 0; n < 80; n++) {
        const call = client.flow.impatient.upload({});
        for (let i = 0; i < 15; i++) if (call.reqWritable.isWritable()) call.reqWritable.write({ i, text });
        calls.push(call);
        await harness.settled();
      }
      await harness.advance(11_000);
      expect(budget.heldBytes).toBeGreaterThan(HALF - OWN);
      expect(budget.heldBytes).toBeLessThan(HALF + OWN);
      stage.readersMayRead.open();
      const results = Promise.all(calls.map(({ finalize }) => finalize()));
      await harness.settled();
      await results;
      await harness.advance(11_000);
      expect(budget.heldBytes).toBe(0);
    });

    test('nor for what it says', async () => {
      const budget = new BufferBudget(MAX);
      const { harness, stage, client, clientTransport } = await setup(unbounded, { budget });
      const unread = upTo(5).map(() => client.flow.loud.subscribe({ count: 15 }));
      await harness.settled();
      harness.link.setReachable(false);
      closeAllConnections(clientTransport);
      await harness.settled();
      const calls = upTo(60).map(() => client.flow.refuse.upload({ pad: 'x'.repeat(50_000) }).finalize());
      expect(budget.heldBytes).toBeGreaterThan(HALF - OWN);
      expect(budget.heldBytes).toBeLessThan(HALF + OWN);
      harness.link.setReachable(true);
      clientTransport.endBackoff();
      stage.readersMayRead.open();
      for (const { resReadable } of unread) resReadable.break();
      await harness.settled();
      await Promise.all(calls);
    });

    test('what waits for the first answer is a part', async () => {
      const budget = new BufferBudget(MAX);
      const harness = await createHarness({ transport, codec });
      opened.push(harness);
      harness.link.setReachable(false);
      const calls: Promise<unknown>[] = [];
      const controller = new AbortController();
      for (let n = 0; n < 40; n++) {
        const client = createClient<ReturnType<Stage['services']>>(harness.client({ budget }, `client-${n}`));
        const init = { pad: 'x'.repeat(20_000) };
        for (let i = 0; i < 9; i++)
          calls.push(client.flow.refuse.upload(init, { signal: controller.signal }).finalize());
      }
      expect(budget.heldBytes).toBeGreaterThan(HALF - OWN);
      expect(budget.heldBytes).toBeLessThan(HALF + 2 * OWN);
      controller.abort();
      await Promise.all(calls);
      expect(budget.heldBytes).toBe(0);
    });

    test('what waited for the first answer counts as what became of it', async () => {
      const budget = new BufferBudget(MAX);
      const harness = await createHarness({ transport, codec });
      opened.push(harness);
      const stage = new Stage();
      createServer(harness.server(unbounded), stage.services());
      const clientTransport = harness.client({ budget });
      const client = createClient<ReturnType<Stage['services']>>(clientTransport);
      const { reqWritable, finalize } = client.flow.impatient.upload({});
      for (let i = 0; i < 5; i++) reqWritable.write({ i, text });
      const before = budget.heldBytes;
      await harness.settled();
      expect(budget.heldBytes).toBe(clientTransport.sessions.get('SERVER')?.core.bufferedBytes);
      expect(budget.heldBytes).toBeLessThan(before);
      stage.readersMayRead.open();
      const result = finalize();
      await harness.settled();
      expect(await result).toEqual(Ok({}));
    });

    test('little is left: whoever heeds backpressure waits, and goes on when what is under way was confirmed', async () => {
      const budget = new BufferBudget(16 * MAX);
      const { harness, stage, client } = await setup({ budget, readableHighWaterBytes: 256 * 1024 });
      budget.changed(0, 15 * MAX);
      stage.readersMayRead.open();
      const heard = client.flow.heedful.subscribe({ count: 10 * MANY }).resReadable.collect();
      await harness.settled();
      expect((await heard).filter(({ ok }) => ok)).toHaveLength(10 * MANY);
      const { reqWritable, finalize } = client.flow.upload.upload({});
      const written = reqWritable.writeAll(upTo(10 * MANY).map((i) => ({ i, text })));
      await harness.settled();
      await written;
      const result = finalize();
      await harness.settled();
      expect(await result).toEqual(Ok({ count: 10 * MANY }));
    });

    test('is used up: the first message of a session is refused like any other', async () => {
      const budget = new BufferBudget(MAX);
      const { harness, stage, client } = await setup({ budget, readableHighWaterBytes: 64 * 1024 }, unbounded);
      const call = client.flow.impatient.upload({});
      const result = call.finalize;
      await harness.settled();
      const others = MAX - 10_000 - budget.heldBytes;
      budget.changed(0, others);
      call.reqWritable.write({ i: 0, text: 'x'.repeat(20_000) });
      const refused = result();
      await harness.settled();
      expect(await refused).toMatchObject({ ok: false, payload: { code: 'SESSION_BUFFER_FULL' } });
      expect(budget.heldBytes).toBeLessThan(MAX);
      stage.readersMayRead.open();
      await harness.settled();
    });

    test('is used up: a cancel with a long text is still a cancel', async () => {
      const budget = new BufferBudget(MAX);
      const { harness, stage, server, client, coreOf } = await setup({ budget }, unbounded);
      const controller = new AbortController();
      const held = client.flow.impatient.upload({});
      for (let i = 0; i < 15; i++) held.reqWritable.write({ i, text });
      const call = client.flow.impatient.upload({}, { signal: controller.signal });
      const result = call.finalize();
      await harness.settled();
      budget.changed(0, MAX - budget.heldBytes);
      const [, streamId = ''] = coreOf('server').openStreams;
      coreOf('server').deliver(
        { ...cancelMessage(streamId, text), id: '', from: '', to: '', seq: 0, ack: 0 },
        2 * ITEM,
      );
      await harness.settled();
      expect(server.openCalls).toBe(1);
      controller.abort();
      expect(await result).toMatchObject({ payload: { code: 'CANCEL', message: 'cancelled by client' } });
      held.reqWritable.close();
      stage.readersMayRead.open();
      await harness.settled();
    });

    test('what a connection held is not a part any more when there is no connection', async () => {
      const budget = new BufferBudget(MAX);
      const { harness, client, clientTransport, coreOf } = await setup({ budget }, unbounded);
      const sum = client.flow.add.rpc({ n: 1 });
      await harness.settled();
      await sum;
      const core = coreOf('server');
      const { sink } = core;
      if (sink === undefined) throw new Error('expected a connection');
      vi.spyOn(sink, 'bufferedBytes', 'get').mockReturnValue(100_000); // acknowledged, and not read
      core.count();
      expect(budget.heldBytes).toBeGreaterThan(99_999);
      harness.link.setReachable(false);
      closeAllConnections(clientTransport);
      await harness.settled();
      expect(budget.heldBytes).toBeLessThan(1_000);
    });
  });

  test('what was written before the first answer is confirmed, whatever another stream has to wait for', async () => {
    const harness = await createHarness({ transport, codec });
    opened.push(harness);
    const stage = new Stage();
    createServer(harness.server({ readableHighWaterBytes: WINDOW }), stage.services());
    const client = createClient<ReturnType<Stage['services']>>(harness.client({}, 'client-1'));
    const stopped = client.flow.impatient.upload({});
    for (let i = 0; i < MANY; i++) stopped.reqWritable.write({ i, text });
    const { reqWritable, finalize } = client.flow.impatient.upload({});
    const reports: number[] = [];
    const values = upTo(FEW).map((i) => ({ i, text }));
    await reqWritable.writeAll(values, { onConfirmed: (bytes) => reports.push(bytes) });
    await harness.settled();
    await harness.advance(11_000);
    expect(reports.at(-1)).toBe(FEW * (ITEM + 8));
    stage.readersMayRead.open();
    const results = Promise.all([stopped.finalize(), finalize()]);
    await harness.settled();
    expect((await results).map(({ ok }) => ok)).toEqual([true, true]);
  });

  test('limits of more streams than a frame has room for are told in several', async () => {
    const options = { maxMessageBytes: 1_100, readableHighWaterBytes: 1_000 };
    const { harness, stage, client, clientTransport, coreOf } = await setup(options);
    const uploads = upTo(400).map(() => client.flow.upload.upload({}));
    await harness.settled();
    stage.readersMayRead.open();
    for (const { reqWritable } of uploads) reqWritable.write({ i: 0, text: 'x'.repeat(900) });
    await harness.settled();
    const { id } = coreOf('client');
    closeAllConnections(clientTransport);
    clientTransport.endBackoff();
    await harness.settled();
    await harness.advance(6_000);
    expect(coreOf('client').id).toBe(id);
    // They may write on, and all of it arrives.
    for (const { reqWritable } of uploads) reqWritable.write({ i: 1, text: 'x'.repeat(900) });
    const results = Promise.all(uploads.map(({ finalize }) => finalize()));
    await harness.settled();
    expect((await results).every(({ ok }) => ok)).toBe(true);
    expect(stage.read.length).toBe(800);
  });

  test('what is said in the turn in which a session ends leaves, and nothing of it is kept', async () => {
    const { harness, server, client, clientTransport, coreOf } = await setup();
    const { resReadable } = client.flow.loud.subscribe({ count: FEW });
    await harness.settled();
    expect(server.openCalls).toBe(1);
    const core = coreOf('client');
    resReadable.break();
    expect(core.ledger.unackedCount).toBeGreaterThan(0);
    clientTransport.close();
    expect(core.ledger.unackedCount).toBe(0);
    await harness.settled();
    expect(server.openCalls).toBe(0);
  });

  test('a getter of a payload that ends the session leaves nothing counted', async () => {
    const { harness, client, clientTransport, budget } = await setup();
    const ending = {
      text: 'x'.repeat(10_000),
      get n() {
        clientTransport.hardDisconnect();
        return 1;
      },
    };
    const result = client.flow.add.rpc(ending);
    await harness.settled();
    expect(await result).toMatchObject({ ok: false, payload: { code: 'UNEXPECTED_DISCONNECT' } });
    await harness.advance(31_000);
    expect(budget.heldBytes).toBe(0);
  });

  test('a getter of an init that aborts its own call has given it up', async () => {
    const { harness, client, coreOf } = await setup();
    const controller = new AbortController();
    const init = {
      get n() {
        controller.abort();
        return 1;
      },
    };
    const result = client.flow.add.rpc(init, { signal: controller.signal });
    await harness.settled();
    expect(await result).toMatchObject({ ok: false, payload: { code: 'CANCEL' } });
    expect(coreOf('client').streamCount).toBe(0);
  });

  test('last values that nobody reads are bounded like any other message', async () => {
    const budget = new BufferBudget(256 * 1024);
    const { harness, stage, client } = await setup({ budget, maxMessageBytes: 32 * 1024 });
    const calls = [];
    for (let n = 0; n < 12; n++) {
      const { reqWritable, finalize } = client.flow.impatient.upload({});
      reqWritable.close({ i: 0, text: 'x'.repeat(20_000) });
      calls.push(finalize());
      await harness.settled();
      await harness.advance(11_000);
    }
    expect(budget.heldBytes).toBeLessThan(160 * 1024);
    stage.readersMayRead.open();
    await harness.settled();
    const codes = (await Promise.all(calls)).map((result) => (result.ok ? 'ok' : result.payload.code));
    expect(new Set(codes)).toEqual(new Set(['ok', 'SESSION_BUFFER_FULL']));
    await harness.advance(11_000);
    expect(budget.heldBytes).toBe(0);
  });

  test('a peer that allows a stream again and again in one frame has it looked at as if it had once', async () => {
    const { harness, client, clientTransport, coreOf } = await setup();
    const { resReadable } = client.flow.loud.subscribe({ count: MANY });
    await harness.settled();
    harness.link.setReachable(false);
    closeAllConnections(clientTransport);
    await harness.settled();
    // It is not there to hear more than it asked for.
    resReadable.break();
    const core = coreOf('server');
    const stream = Number(core.openStreams[0]);
    const next = vi.spyOn(StreamFlow.prototype, 'next');
    const before = core.nextSeq;
    core.allow(upTo(10_000).map((n) => ({ stream, limit: WINDOW + n * ITEM })));
    const released = core.nextSeq - before;
    expect(released).toBeGreaterThan(MANY / 2);
    expect(next.mock.calls.length).toBeLessThanOrEqual(released + 1);
    next.mockRestore();
    harness.link.setReachable(true);
    clientTransport.endBackoff();
    await harness.settled();
    expect(core.streamCount).toBe(0);
  });

  test('a writer goes on when a new connection says that what it wrote has arrived', async () => {
    const { harness, stage, client, clientTransport, serverTransport, coreOf } = await setup({
      sessionHighWaterBytes: 4 * ITEM,
    });
    stage.readersMayRead.open();
    const { reqWritable, finalize } = client.flow.upload.upload({});
    await harness.settled();
    await harness.advance(11_000);
    // What the server says from now on is lost.
    const session = serverTransport.sessions.get('client-1');
    if (session?.state !== 'Connected') throw new Error('expected the server to be connected');
    session.connection.send = () => true;
    for (let i = 0; i < FEW; i++) reqWritable.write({ i, text });
    let isReady = false;
    void reqWritable.waitForWriteReady().then(() => {
      isReady = true;
    });
    await harness.settled();
    expect([isReady, stage.read.length]).toEqual([false, FEW]);
    closeAllConnections(clientTransport);
    clientTransport.endBackoff();
    await harness.settled();
    expect(coreOf('client').isConnected).toBe(true);
    expect(isReady).toBe(true);
    const result = finalize();
    await harness.settled();
    expect(await result).toEqual({ ok: true, payload: { count: FEW } });
  });

  test('a writer that ignores backpressure is refused by name at its limit, and the session lives', async () => {
    const { harness, stage, client, coreOf } = await setup({ maxStreamBufferBytes: 32 * 1024 });
    const { reqWritable, finalize } = client.flow.upload.upload({});
    let refusal: unknown;
    let accepted = 0;
    try {
      for (; accepted < 10 * MANY; accepted++) reqWritable.write({ i: accepted, text });
    } catch (error) {
      refusal = error;
    }
    await harness.settled();
    expect(refusal).toBeInstanceOf(SessionBufferFullError);
    expect(refusal).toMatchObject({ message: expect.stringContaining('maxStreamBufferBytes (32768)') });
    expect(accepted).toBeLessThan(MANY);
    // On the server the writer's call ends, and what it said is gone with it.
    const overrun = client.flow.heedless.subscribe({ count: 10 * MANY }).resReadable;
    await harness.settled();
    const results = overrun.collect();
    const sum = client.flow.add.rpc({ n: 1 });
    await harness.settled();
    expect((await results).at(-1)).toMatchObject({ ok: false, payload: { code: 'SESSION_BUFFER_FULL' } });
    expect(await sum).toEqual({ ok: true, payload: { n: 2 } });
    expect(coreOf('client').isConnected).toBe(true);
    stage.readersMayRead.open();
    const result = finalize();
    await harness.settled();
    expect(await result).toEqual({ ok: true, payload: { count: accepted } });
  });

  test('survives lost connections: limits are told again, and nothing is lost or doubled', async () => {
    const { harness, stage, client, clientTransport } = await setup();
    const { reqWritable, finalize } = client.flow.upload.upload({});
    const subscription = client.flow.heedful.subscribe({ count: MANY });
    for (let i = 0; i < MANY; i++) reqWritable.write({ i, text });
    const result = finalize();
    await harness.settled();
    closeAllConnections(clientTransport);
    // While nothing connects the two, both readers read.
    harness.link.setReachable(false);
    stage.readersMayRead.open();
    const collected = subscription.resReadable.collect();
    await harness.settled();
    await harness.advance(1_000);
    for (let cut = 0; cut < 5; cut++) {
      harness.link.setReachable(true);
      clientTransport.endBackoff();
      await harness.settled();
      await harness.advance(700);
      closeAllConnections(clientTransport);
      await harness.settled();
    }
    clientTransport.endBackoff();
    await harness.advance(11_000);
    expect(await result).toEqual({ ok: true, payload: { count: MANY } });
    expect(stage.read).toEqual(upTo(MANY));
    expect((await collected).map((one) => one.ok && one.payload.i)).toEqual(upTo(MANY));
  });

  test('an upload that is answered early drops what waited, on both sides', async () => {
    const { harness, stage, client, coreOf } = await setup();
    const { reqWritable, finalize } = client.flow.impatient.upload({});
    for (let i = 0; i < MANY; i++) reqWritable.write({ i, text });
    await harness.settled();
    stage.readersMayRead.open();
    const result = finalize();
    await harness.settled();
    expect(await result).toEqual({ ok: true, payload: {} });
    await harness.advance(11_000);
    expect(coreOf('client').bufferedBytes).toBe(0);
    expect(coreOf('client').streamCount + coreOf('server').streamCount).toBe(0);
  });

  test('a handler that has ended without reading keeps no writer waiting', async () => {
    const { harness, client, server } = await setup();
    const { reqWritable, resReadable } = client.flow.ignore.stream({});
    for (let i = 0; i < MANY; i++) reqWritable.write({ i, text });
    reqWritable.close();
    await harness.settled();
    expect(await resReadable.collect()).toEqual([]);
    await harness.settled();
    expect(server.openCalls).toBe(0);
  });

  test('progress is true: what waits for credit is not confirmed', async () => {
    const { harness, stage, client } = await setup();
    const { reqWritable, finalize } = client.flow.upload.upload({});
    const reports: number[] = [];
    const values = upTo(MANY).map((i) => ({ i, text }));
    const writing = reqWritable.writeAll(values, { onConfirmed: (bytes) => reports.push(bytes) });
    await harness.settled();
    await harness.advance(11_000);
    expect(Math.max(0, ...reports)).toBeLessThan(30 * ITEM);
    stage.readersMayRead.open();
    await harness.settled();
    await writing;
    const result = finalize();
    await harness.settled();
    await result;
    await harness.advance(11_000);
    expect(reports.at(-1)).toBe(MANY * (ITEM + 8));
  });

  describe('with a peer that does not speak it', () => {
    test.each(['server', 'client'] as const)(
      'the %s holds no more than its bound, and the call fails by name',
      async (side) => {
        const limits = {
          maxSessionBufferBytes: 64 * 1024,
          maxMessageBytes: 16 * 1024,
          sessionHighWaterBytes: 32 * 1024,
        };
        const { harness, client, coreOf } = await setup({ extensions: noExtensions, ...limits });
        if (side === 'client') {
          const { resReadable } = client.flow.heedful.subscribe({ count: 10 * MANY });
          for (let n = 0; n < 20; n++) {
            await harness.settled();
            await harness.advance(1_100);
          }
          const results = await resReadable.collect();
          expect(results.length).toBeLessThan(80);
          expect(results.at(-1)).toMatchObject({ ok: false, payload: { code: 'SESSION_BUFFER_FULL' } });
        } else {
          const { reqWritable, finalize } = client.flow.upload.upload({});
          for (let i = 0; i < 10 * MANY && reqWritable.isWritable(); i++) {
            if (reqWritable.write({ i, text })) continue;
            await harness.settled();
            await harness.advance(1_100);
          }
          expect(await finalize()).toMatchObject({ ok: false, payload: { code: 'UNCAUGHT_ERROR' } });
        }
        const sum = client.flow.add.rpc({ n: 1 });
        await harness.settled();
        expect(await sum).toEqual({ ok: true, payload: { n: 2 } });
        expect(coreOf('server').streamCount).toBe(0);
      },
    );
  });

  test('a message that finds no room leaves what is held as it was', async () => {
    const limits = { maxSessionBufferBytes: 64 * 1024, maxMessageBytes: 48 * 1024, sessionHighWaterBytes: 64 * 1024 };
    const { harness, stage, client, budget } = await setup({ extensions: noExtensions, ...limits });
    const hoard = client.flow.impatient.upload({});
    const item = (bytes: number) => ({ i: 0, text: 'x'.repeat(bytes) });
    hoard.reqWritable.write(item(30_000));
    for (let n = 0; n < 3; n++) {
      const other = client.flow.impatient.upload({});
      other.reqWritable.write(item(10));
      await harness.settled();
      await harness.advance(1_100);
      expect(budget.heldBytes).toBeGreaterThan(30_000);
      other.reqWritable.write(item(40_000));
      const result = other.finalize();
      await harness.settled();
      expect(await result).toMatchObject({ ok: false });
      await harness.advance(1_100);
      expect(budget.heldBytes).toBeGreaterThan(30_000);
    }
    stage.readersMayRead.open();
    const result = hoard.finalize();
    await harness.settled();
    expect(await result).toMatchObject({ ok: true });
    await harness.advance(11_000);
    // On River's wire an acknowledgement is a message, and the last one is never acknowledged.
    expect(budget.heldBytes).toBeGreaterThanOrEqual(0);
    expect(budget.heldBytes).toBeLessThan(ITEM);
  });

  test('a call that is given up before anybody heard of it had no progress, and its writer learns that it has ended', async () => {
    const harness = await createHarness({ transport, codec });
    opened.push(harness);
    harness.link.setReachable(false);
    const client = createClient<ReturnType<Stage['services']>>(harness.client({ sessionHighWaterBytes: ITEM }));
    const controller = new AbortController();
    const { reqWritable, finalize } = client.flow.upload.upload({}, { signal: controller.signal });
    const reports: number[] = [];
    const written = reqWritable.writeAll([{ i: 0, text }], { onConfirmed: (bytes) => reports.push(bytes) });
    const refused = expect(written).rejects.toThrow(CallEndedError);
    await harness.settled();
    controller.abort();
    await refused;
    expect(await finalize()).toMatchObject({ ok: false, payload: { code: 'CANCEL' } });
    expect(reports).toEqual([]);
  });

  test('costs calls of one message nothing', async () => {
    const { harness, client, coreOf } = await setup();
    const sums = upTo(MANY).map((n) => client.flow.add.rpc({ n }));
    await harness.settled();
    expect(await Promise.all(sums)).toEqual(upTo(MANY).map((n) => ({ ok: true, payload: { n: n + 1 } })));
    expect(coreOf('client').agreement?.extensions?.credit).toEqual({ windowBytes: WINDOW });
    const few = client.flow.heedful.subscribe({ count: FEW }).resReadable.collect();
    await harness.settled();
    expect(await few).toHaveLength(FEW);
  });
});
