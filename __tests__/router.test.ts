import { getEventListeners } from 'node:events';
import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { createClient } from '../router/client.ts';
import { CallError } from '../router/errors.ts';
import { Procedure } from '../router/procedures.ts';
import { values } from '../router/readable.ts';
import { Err, Ok } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServiceSchema } from '../router/services.ts';
import { createHarness } from '../testUtil/harness.ts';
import { TransportClosedError } from '../transport/errors.ts';
import { createPair, type Services, services } from './support/routerServices.ts';

const cancelled = Err({ code: 'CANCEL', message: 'cancelled by client' });
const code = (name: string) => ({ ok: false, payload: { code: name } });

describe('a call', () => {
  test('of an rpc answers', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    expect(await client.math.add.rpc({ n: 3 })).toEqual(Ok({ result: 3 }));
    expect(await client.math.add.rpc({ n: 4 })).toEqual(Ok({ result: 7 }));
    expect(await client.math.divide.rpc({ a: 1, b: 0 })).toMatchObject({
      ok: false,
      payload: { code: 'DIV_BY_ZERO', extras: { dividend: 1 } },
    });
    expect(await client.math.boom.rpc({})).toEqual(Err({ code: 'UNCAUGHT_ERROR', message: 'internal server error' }));
    expect(await client.math.cancelMe.rpc({})).toEqual(Err({ code: 'CANCEL', message: 'server says no' }));
    const value = { bytes: new Uint8Array([0, 255]), big: 2n ** 60n, text: 'é🇧🇪', nil: null };
    expect(await client.math.types.rpc(value)).toEqual(Ok(value));
  });

  test('hears of its end also where what is said of it has no room in a message', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const text = 'x'.repeat(5_000);
    const names = Array.from({ length: 20 }, (_, n) => `${'a_long_name_of_a_property'.repeat(10)}_${n}`);
    const talkative = createServiceSchema().define({
      throws: Procedure.rpc({
        requestInit: Type.Object({}),
        responseData: Type.Object({}),
        handler: () => Promise.reject(new Error(text)),
      }),
      cancels: Procedure.rpc({
        requestInit: Type.Object({}),
        responseData: Type.Object({}),
        handler: async ({ ctx }) => ctx.cancel(text),
      }),
      wants: Procedure.rpc({
        requestInit: Type.Object(Object.fromEntries(names.map((name) => [name, Type.String()]))),
        responseData: Type.Object({}),
        handler: async () => Ok({}),
      }),
    });
    createServer(h.server({ maxMessageBytes: 2_000 }), { talkative }, { exposeErrorMessages: true });
    const { talkative: calls } = createClient<{ talkative: typeof talkative }>(h.client());
    const ended = (code: string) => Err({ code, message: 'the error is too large to be sent, or cannot be encoded' });
    expect(await calls.throws.rpc({})).toEqual(ended('UNCAUGHT_ERROR'));
    expect(await calls.cancels.rpc({})).toEqual(ended('CANCEL'));
    expect(await calls.wants.rpc({})).toEqual(ended('INVALID_REQUEST'));
  });

  test('of an upload answers when it is finalized, however often', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 2 });
    expect(reqWritable.write({ value: 1 })).toBe(true);
    await reqWritable.writeAll([{ value: 2 }, { value: 3 }]);
    expect(await finalize()).toEqual(Ok({ total: 12 }));
    expect(await finalize()).toEqual(Ok({ total: 12 }));
    expect(reqWritable.isWritable()).toBe(false);
  });

  test('of a subscription yields until the server closes', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const { resReadable } = client.flow.count.subscribe({ to: 3 });
    expect(await resReadable.collect()).toEqual([Ok({ i: 0 }), Ok({ i: 1 }), Ok({ i: 2 })]);
  });

  test('of a stream yields while it writes', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    const results = resReadable[Symbol.asyncIterator]();
    for (const msg of ['a', 'b']) {
      reqWritable.write({ msg });
      expect(await results.next()).toEqual({ done: false, value: Ok({ out: `>${msg}` }) });
    }
    reqWritable.close();
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  test('gives plain values on request', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const seen: number[] = [];
    for await (const { i } of values(client.flow.count.subscribe({ to: 3 }).resReadable)) seen.push(i);
    expect(seen).toEqual([0, 1, 2]);
    const { resReadable } = client.flow.count.subscribe({ to: 'x' as never });
    await expect(values(resReadable).next()).rejects.toThrow(CallError);
  });

  test('that is invalid says where, by extras', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    expect(await client.math.add.rpc({ n: 'three' as never })).toEqual(
      Err({
        code: 'INVALID_REQUEST',
        message: 'procedure init failed validation',
        extras: { firstValidationErrors: [{ path: '/n', message: 'Expected number' }], totalErrors: 1 },
      }),
    );
  });

  test('is answered in the order of the answers, not of the calls', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const controller = new AbortController();
    const slow = client.math.wait.rpc({}, { signal: controller.signal });
    expect(await client.math.add.rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
    expect(server.openCalls).toBe(1);
    controller.abort();
    expect(await slow).toEqual(cancelled);
    await h.settled();
  });

  test('made before there is a connection waits for one', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const client = createClient<Services>(h.client(), 'SERVER', { eagerlyConnect: false });
    const result = client.math.add.rpc({ n: 1 });
    createServer(h.server(), services);
    await h.advance(1_000);
    expect(await result).toEqual(Ok({ result: 1 }));
  });

  test('survives a cut', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 1 });
    reqWritable.write({ value: 1 });
    await h.settled();
    h.link.cut();
    reqWritable.write({ value: 2 });
    await h.advance(1_000);
    expect(await finalize()).toEqual(Ok({ total: 3 }));
  });
});

describe('cancelling', () => {
  test('by a signal that is aborted already sends nothing', async () => {
    const { h, client, server, clientTransport } = await createPair();
    await using _ = h;
    const signal = AbortSignal.abort();
    expect(await client.math.add.rpc({ n: 1 }, { signal })).toEqual(cancelled);
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 1 }, { signal });
    expect(reqWritable.write({ value: 1 })).toBe(false);
    expect(await finalize()).toEqual(cancelled);
    expect(await client.flow.count.subscribe({ to: 1 }, { signal }).resReadable.collect()).toEqual([cancelled]);
    expect(await client.flow.echo.stream({ prefix: '' }, { signal }).resReadable.collect()).toEqual([cancelled]);
    await h.settled();
    expect(clientTransport.sessions.get('SERVER')?.core.ledger.nextSeq).toBe(0);
    expect(server.services.math.state.count).toBe(0);
  });

  test('answers its caller at once and ends the call on the server', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const controller = new AbortController();
    const rpc = client.math.wait.rpc({}, { signal: controller.signal });
    const upload = client.flow.sum.upload({ multiplier: 1 }, { signal: controller.signal });
    const subscription = client.flow.forever.subscribe({}, { signal: controller.signal });
    const stream = client.flow.echo.stream({ prefix: '>' }, { signal: controller.signal });
    await h.settled();
    expect(server.openCalls).toBe(4);
    expect([...server.streams.values()].map(({ procedureName }) => procedureName)).toEqual([
      'wait',
      'sum',
      'forever',
      'echo',
    ]);
    controller.abort();
    expect(await rpc).toEqual(cancelled);
    expect(await upload.finalize()).toEqual(cancelled);
    expect(await subscription.resReadable.collect()).toEqual([cancelled]);
    expect(await stream.resReadable.collect()).toEqual([cancelled]);
    expect(upload.reqWritable.isWritable()).toBe(false);
    await h.settled();
    expect(server.openCalls).toBe(0);
    expect(server.running).toBe(0);
  });

  test('of many calls by one signal warns of no leak, and leaves none', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 40 }, () => client.math.wait.rpc({}, { signal }));
    await Promise.all(Array.from({ length: 40 }, () => client.math.add.rpc({ n: 1 }, { signal })));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort();
    expect(await Promise.all(calls)).toEqual(calls.map(() => cancelled));
    await h.settled();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    const later = new AbortController();
    await Promise.all(Array.from({ length: 40 }, () => client.math.add.rpc({ n: 1 }, { signal: later.signal })));
    expect(getEventListeners(later.signal, 'abort')).toHaveLength(0);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('before anything was sent takes the call back', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const server = createServer(h.server(), services);
    const client = createClient<Services>(h.client());
    const controller = new AbortController();
    const given = client.math.add.rpc({ n: 1 }, { signal: controller.signal });
    const kept = client.math.add.rpc({ n: 10 });
    controller.abort();
    expect(await given).toEqual(cancelled);
    expect(await kept).toEqual(Ok({ result: 10 }));
    expect(server.services.math.state.count).toBe(10);
  });

  test('after the end is nothing, and leaves no listener', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    expect(await client.math.add.rpc({ n: 1 }, { signal })).toEqual(Ok({ result: 1 }));
    expect(listeners).toBe(0);
    controller.abort();
    expect(await client.math.add.rpc({ n: 1 })).toEqual(Ok({ result: 2 }));
  });

  test('happens when the loop over a subscription is left', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const { resReadable } = client.flow.forever.subscribe({});
    await h.advance(30);
    for await (const _result of resReadable) break;
    await h.settled();
    expect(server.openCalls).toBe(0);
  });

  test('does not happen when only the answers of a stream are broken off', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const { reqWritable, resReadable } = client.flow.echo.stream({ prefix: '>' });
    resReadable.break();
    reqWritable.write({ msg: 'a' });
    await h.settled();
    expect(server.openCalls).toBe(1);
    reqWritable.close();
    await h.settled();
    expect(server.openCalls).toBe(0);
  });
});

describe('a deadline', () => {
  test('ends the call on both sides, each with its own word for it', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const result = client.math.wait.rpc({}, { timeoutMs: 100 });
    await h.advance(99);
    expect(server.openCalls).toBe(1);
    await h.advance(2);
    expect(await result).toEqual(Err({ code: 'DEADLINE_EXCEEDED', message: 'no answer within timeoutMs (100)' }));
    expect(server.openCalls).toBe(0);
  });

  test('says so if there was nobody to answer', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    createServer(h.server(), services);
    h.link.setReachable(false);
    const client = createClient<Services>(h.client(), 'SERVER');
    const result = client.math.add.rpc({ n: 1 }, { timeoutMs: 100 });
    await h.advance(101);
    const message = 'no answer within timeoutMs (100): not connected to SERVER';
    expect(await result).toEqual(Err({ code: 'DEADLINE_EXCEEDED', message }));
  });

  test('ends the call on the server even if the client cannot', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const result = client.math.wait.rpc({}, { timeoutMs: 100 });
    await h.settled();
    h.link.setReachable(false);
    h.link.cut();
    await h.advance(150);
    expect(server.openCalls).toBe(0);
    expect(await result).toMatchObject(code('DEADLINE_EXCEEDED'));
    h.link.setReachable(true);
  });

  test('that is over when the call arrives keeps its handler from running', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    await client.math.add.rpc({ n: 0 });
    h.link.setReachable(false);
    h.link.cut();
    await h.settled();
    const result = client.math.add.rpc({ n: 1 }, { timeoutMs: 5 });
    await h.advance(1_000);
    expect(await result).toMatchObject(code('DEADLINE_EXCEEDED'));
    h.link.setReachable(true);
    await h.advance(10_000);
    expect(await client.math.add.rpc({ n: 0 })).toEqual(Ok({ result: 0 }));
    expect(server.openCalls).toBe(0);
  });

  test.each([0, 0.5])('of %d ms', async (timeoutMs) => {
    const { h, client } = await createPair();
    await using _ = h;
    const result = client.math.wait.rpc({}, { timeoutMs });
    await h.advance(1);
    expect(await result).toMatchObject(code('DEADLINE_EXCEEDED'));
  });

  test('leaves no timer behind when the call ends before', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const timers = h.clock.pendingTimers;
    expect(await client.math.add.rpc({ n: 1 }, { timeoutMs: 60_000 })).toEqual(Ok({ result: 1 }));
    expect(await client.math.add.rpc({ n: 1 }, { timeoutMs: Number.POSITIVE_INFINITY })).toEqual(Ok({ result: 2 }));
    await h.settled();
    expect(h.clock.pendingTimers).toBe(timers);
  });

  test.each([-1, Number.NaN, '5' as never])('of %s ms is a mistake of the caller', async (timeoutMs) => {
    const { h, client } = await createPair();
    await using _ = h;
    await expect(client.math.add.rpc({ n: 1 }, { timeoutMs })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(() => client.flow.count.subscribe({ to: 1 }, { timeoutMs })).toThrow('timeoutMs');
  });
});

describe('the end of a session', () => {
  test('ends every call on both sides exactly once', async () => {
    const { h, client, clientTransport, server } = await createPair();
    await using _ = h;
    const rpc = client.math.wait.rpc({});
    const upload = client.flow.sum.upload({ multiplier: 1 });
    const subscription = client.flow.forever.subscribe({});
    const stream = client.flow.echo.stream({ prefix: '>' });
    const all = [subscription.resReadable.collect(), stream.resReadable.collect()];
    await h.settled();
    clientTransport.hardDisconnect();
    const gone = code('UNEXPECTED_DISCONNECT');
    expect(await rpc).toMatchObject(gone);
    expect(await upload.finalize()).toMatchObject(gone);
    expect(await Promise.all(all)).toMatchObject([[gone], [gone]]);
    await h.settled();
    expect(stream.reqWritable.write({ msg: 'x' })).toBe(false);
    // The client dials again with a new session, which replaces the old one on the server.
    await h.advance(1_000);
    expect(await client.math.add.rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
    expect(server.openCalls).toBe(0);
    expect(server.running).toBe(0);
  });

  test('says that nobody could be reached, where nobody ever was', async () => {
    await using h = await createHarness({ transport: 'memory', codec: JsonCodec });
    const result = createClient<Services>(h.client()).math.add.rpc({ n: 1 });
    await h.advance(31_000);
    const message = 'SERVER unexpectedly disconnected: nobody could be reached within 30000 ms';
    expect(await result).toEqual(Err({ code: 'UNEXPECTED_DISCONNECT', message }));
  });

  test('comes when the peer stays away for longer than the grace period', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    const result = client.math.wait.rpc({});
    await h.settled();
    h.link.setReachable(false);
    h.link.cut();
    await h.advance(31_000);
    expect(await result).toMatchObject(code('UNEXPECTED_DISCONNECT'));
    expect(server.openCalls).toBe(0);
  });
});

describe('a client', () => {
  test('on a closed transport fails every call with a clear error', async () => {
    const { h, client, clientTransport } = await createPair();
    await using _ = h;
    const open = client.math.wait.rpc({});
    clientTransport.close();
    expect(await open).toMatchObject(code('UNEXPECTED_DISCONNECT'));
    const closed = Err({ code: 'UNEXPECTED_DISCONNECT', message: 'transport client-1 is closed' });
    expect(await client.math.add.rpc({ n: 1 })).toEqual(closed);
    expect(await client.flow.sum.upload({ multiplier: 1 }).finalize()).toEqual(closed);
    expect(await client.flow.count.subscribe({ to: 1 }).resReadable.collect()).toEqual([closed]);
    expect(() => createClient<Services>(clientTransport)).toThrow('closed');
  });

  test('can be awaited, printed and compared without calling anything', async () => {
    const { h, client, server } = await createPair();
    await using _ = h;
    expect(await client).toBe(client);
    expect(await client.math).toBe(client.math);
    expect(client.math.add).toBe(client.math.add);
    expect(JSON.stringify(client)).toBe('{}');
    expect(Reflect.get(client, Symbol.toPrimitive)).toBeUndefined();
    const { rpc } = client.math.add;
    expect(await rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
    expect(server.openCalls).toBe(0);
  });

  test('shares its transport with others', async () => {
    const { h, client, clientTransport } = await createPair();
    await using _ = h;
    const other = createClient<Services>(clientTransport);
    const results = await Promise.all([client.math.add.rpc({ n: 1 }), other.math.add.rpc({ n: 1 })]);
    expect(results).toEqual([Ok({ result: 1 }), Ok({ result: 2 })]);
  });

  test('that cannot wait fails without a connection, and connects for the next time', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    createServer(h.server(), services);
    const client = createClient<Services>(h.client(), 'SERVER', { eagerlyConnect: false });
    expect(await client.math.add.rpc({ n: 1 }, { offline: 'fail' })).toEqual(
      Err({ code: 'UNEXPECTED_DISCONNECT', message: 'not connected to SERVER' }),
    );
    await h.settled();
    expect(await client.math.add.rpc({ n: 1 }, { offline: 'fail' })).toEqual(Ok({ result: 1 }));
  });

  test('that may not connect says so', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    createServer(h.server(), services);
    const transport = h.client();
    const options = { eagerlyConnect: false, connectOnInvoke: false };
    const client = createClient<Services>(transport, 'SERVER', options);
    expect(await client.math.add.rpc({ n: 1 })).toMatchObject({
      payload: {
        code: 'UNEXPECTED_DISCONNECT',
        message: 'there is no session with SERVER, and connectOnInvoke is false',
      },
    });
    transport.connect('SERVER');
    expect(await client.math.add.rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
  });

  test('throws what only its caller can mend', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const wrong = { f: () => 1 };
    await expect(client.math.types.rpc(wrong)).rejects.toMatchObject({ name: 'CodecError' });
    expect(() => client.flow.count.subscribe(wrong as never)).toThrow();
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 1 });
    expect(() => reqWritable.write({ value: (() => 1) as never })).toThrow();
    expect(() => reqWritable.close({ value: (() => 1) as never })).toThrow();
    expect(reqWritable.write({ value: 2 })).toBe(true);
    expect(await finalize()).toEqual(Ok({ total: 2 }));
  });

  test('hears from its own session what the session does not take', async () => {
    const { h, client } = await createPair({ maxStreamsPerSession: 1, maxMessageBytes: 10_000 });
    await using _ = h;
    expect(await client.math.types.rpc('x'.repeat(20_000))).toMatchObject(code('INVALID_REQUEST'));
    const controller = new AbortController();
    const first = client.math.wait.rpc({}, { signal: controller.signal });
    expect(await client.math.add.rpc({ n: 1 })).toMatchObject({
      payload: { code: 'INVALID_REQUEST', message: 'the session already has 1 open calls (maxStreamsPerSession)' },
    });
    controller.abort();
    expect(await first).toEqual(cancelled);
    expect(await client.math.add.rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
  });

  test('is told that its session is full, and its call goes on if only a value did not fit', async () => {
    const bytes = 16 * 1024;
    const limits = { maxMessageBytes: bytes, maxSessionBufferBytes: bytes, sessionHighWaterBytes: bytes / 2 };
    const { h, client } = await createPair(limits);
    await using _ = h;
    h.link.setReachable(false);
    h.link.cut();
    await h.settled();
    const stream = client.flow.echo.stream({ prefix: '' });
    expect(stream.reqWritable.write({ msg: 'x'.repeat(bytes * 0.6) })).toBe(false);
    expect(() => stream.reqWritable.write({ msg: 'x'.repeat(bytes * 0.6) })).toThrow('maxSessionBufferBytes');
    expect(await client.math.types.rpc('x'.repeat(bytes * 0.6))).toMatchObject(code('SESSION_BUFFER_FULL'));
    h.link.setReachable(true);
    await h.advance(1_000);
    await stream.reqWritable.waitForWriteReady();
    stream.reqWritable.close({ msg: 'last' });
    expect(await stream.resReadable.collect()).toMatchObject([{ ok: true }, Ok({ out: 'last' })]);
  });

  test('reports as confirmed what the server has, when it has it', async () => {
    const { h, client } = await createPair();
    await using _ = h;
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 1 });
    const reports: number[] = [];
    const onConfirmed = (bytes: number) => reports.push(bytes);
    await reqWritable.writeAll([{ value: 1 }, { value: 2 }], { onConfirmed });
    expect(reports).toEqual([]);
    expect(await finalize()).toEqual(Ok({ total: 3 }));
    expect(reports).toEqual([8, 16]);
  });
});

describe('a server', () => {
  test('that closes ends its calls, refuses new ones, and disposes of its states once they are done', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const order: string[] = [];
    const Service = createServiceSchema();
    const store = Service.define(
      { initializeState: () => ({ [Symbol.asyncDispose]: async () => void order.push('disposed') }) },
      {
        work: Procedure.rpc({
          requestInit: Type.Object({}),
          responseData: Type.Object({}),
          async handler({ ctx }) {
            ctx.deferCleanup(() => order.push('cleaned up'));
            await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
            await new Promise((resolve) => setImmediate(resolve));
            // The call has ended long since: this one begins at once, and is waited for all the same.
            ctx.deferCleanup(async () => {
              await new Promise((resolve) => setImmediate(resolve));
              order.push('cleaned up later');
            });
            order.push('handler done');
            return Ok({});
          },
        }),
      },
    );
    const plain = Service.define(
      { initializeState: () => ({ [Symbol.dispose]: () => void order.push('disposed too') }) },
      {},
    );
    const serverTransport = h.server();
    const server = createServer(serverTransport, { store, plain });
    const client = createClient<{ store: typeof store }>(h.client());
    const open = client.store.work.rpc({});
    await h.settled();
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await closing;
    expect(order).toEqual(['cleaned up', 'handler done', 'cleaned up later', 'disposed', 'disposed too']);
    expect(await open).toEqual(Err({ code: 'CANCEL', message: 'server is closing' }));
    expect(await client.store.work.rpc({})).toEqual(Err({ code: 'CANCEL', message: 'server is closed' }));
    const next = createServer(serverTransport, services);
    expect(await createClient<Services>(h.client()).math.add.rpc({ n: 1 })).toEqual(Ok({ result: 1 }));
    expect(() => createServer(serverTransport, services)).toThrow('already serves');
    await next.close();
  });

  test('that closes waits only so long for a handler that never returns', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const stuck = createServiceSchema().define({
      stuck: Procedure.rpc({
        requestInit: Type.Object({}),
        responseData: Type.Object({}),
        handler: () => new Promise<never>(() => undefined),
      }),
    });
    const server = createServer(h.server(), { stuck }, { closeTimeoutMs: 500 });
    const client = createClient<{ stuck: typeof stuck }>(h.client());
    const result = client.stuck.stuck.rpc({});
    await h.settled();
    let isClosed = false;
    const closing = server.close().then(() => {
      isClosed = true;
    });
    await h.advance(499);
    expect(isClosed).toBe(false);
    await h.advance(1);
    await closing;
    expect(await result).toMatchObject(code('CANCEL'));
    expect(server.running).toBe(1);
  });

  test('behind several transports has one state', async () => {
    const one = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _one = one;
    const two = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _two = two;
    createServer([one.server(), two.server()], services);
    await createClient<Services>(one.client()).math.add.rpc({ n: 1 });
    expect(await createClient<Services>(two.client()).math.add.rpc({ n: 1 })).toEqual(Ok({ result: 2 }));
  });

  test('is not made over a transport that was closed', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const [open, closed] = [h.server({}, 'OPEN'), h.server({}, 'CLOSED')];
    closed.close();
    expect(() => createServer([open, closed], services)).toThrow(new TransportClosedError('CLOSED', 'serving'));
    createServer(open, services);
  });

  test('binds all of its transports or none', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const [free, taken] = [h.server({}, 'FREE'), h.server({}, 'TAKEN')];
    createServer(taken, services);
    expect(() => createServer([free, taken], services)).toThrow('already serves');
    createServer(free, services);
    expect(() => createServer([], services)).toThrow('at least one');
  });
});
