import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../codec/json.ts';
import { createClient } from '../router/client.ts';
import type { CallContext } from '../router/context.ts';
import { CallEndedError, type ErrorPayload } from '../router/errors.ts';
import { createClientHandshakeOptions } from '../router/handshake.ts';
import { Procedure } from '../router/procedures.ts';
import { Err, Ok, type Result } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServerHandshakeOptions } from '../router/serverHandshake.ts';
import { createServiceSchema } from '../router/services.ts';
import { createHarness, type Harness } from '../testUtil/harness.ts';
import type { LogFields } from '../transport/log.ts';
import type { OpenTelemetryApi } from '../transport/telemetry.ts';
import { createPair, type Services, services } from './support/routerServices.ts';

const Empty = Type.Object({});
type Ctx = CallContext<{ n: number }, object>;

/** A service whose one rpc does what the test says. */
function serviceOf(act: (ctx: Ctx) => Promise<Result<object, never>> | Result<object, never>) {
  return createServiceSchema().define(
    { initializeState: () => ({ n: 0 }) },
    { act: Procedure.rpc({ requestInit: Empty, responseData: Empty, handler: ({ ctx }) => act(ctx) }) },
  );
}

async function sceneOf(act: Parameters<typeof serviceOf>[0]) {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const service = serviceOf(act);
  const serverTransport = h.server();
  const lines: [message: string, fields: LogFields][] = [];
  serverTransport.bindLogger((message, fields) => lines.push([message, fields]), 'debug');
  const server = createServer(serverTransport, { service });
  const clientTransport = h.client();
  const client = createClient<{ service: typeof service }>(clientTransport);
  return { h, server, client, clientTransport, lines };
}

describe('ctx', () => {
  test('says who calls on which session, what the server was given, and how to get at both', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    class Db {
      #secret = 'hidden';
      label = 'db';
      get secret(): string {
        return this.#secret;
      }
      read(): string {
        return `${this.#secret} ${this.label}`;
      }
    }
    const seen: unknown[] = [];
    const Service = createServiceSchema<Db, { user: string }>();
    const service = Service.define(
      { initializeState: (context: Db) => ({ from: context.label }) },
      {
        look: Procedure.rpc({
          requestInit: Empty,
          responseData: Empty,
          handler({ ctx }) {
            const { cancel, deferCleanup, read } = ctx;
            deferCleanup(() => seen.push('cleaned up'));
            seen.push(ctx.from, ctx.sessionId, ctx.streamId, ctx.metadata.user, ctx.state, ctx.label, ctx.secret);
            seen.push(read(), ctx.clock === h.clock, ctx.deadline, typeof ctx.span.end);
            return cancel('enough');
          },
        }),
      },
    );
    const clientTransport = h.client({}, 'client-x');
    createServer(
      h.server(),
      { service },
      {
        extendedContext: new Db(),
        handshakeOptions: createServerHandshakeOptions(Type.Object({ token: Type.String() }), ({ token }) => ({
          user: token.toUpperCase(),
        })),
      },
    );
    const handshakeOptions = createClientHandshakeOptions(async () => ({ token: 'ann' }));
    const client = createClient<{ service: typeof service }>(clientTransport, 'SERVER', { handshakeOptions });
    expect(await client.service.look.rpc({})).toEqual(Err({ code: 'CANCEL', message: 'enough' }));
    const sessionId = clientTransport.sessions.get('SERVER')?.id;
    await h.settled();
    expect(seen).toEqual([
      'client-x',
      sessionId,
      expect.stringMatching(/1$/), // on River's wire there is something before it
      'ANN',
      { from: 'db' },
      'db',
      'hidden',
      'hidden db',
      true,
      undefined,
      'function',
      'cleaned up',
    ]);
  });

  test('shows the metadata of the latest handshake', async () => {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    await using _ = h;
    const service = createServiceSchema<object, { turn: number }>().define({
      turns: Procedure.subscription({
        requestInit: Empty,
        responseData: Type.Object({ turn: Type.Number() }),
        handler({ ctx, resWritable }) {
          const stop = ctx.clock.every(100, () => resWritable.write(Ok({ turn: ctx.metadata.turn })));
          ctx.deferCleanup(stop);
        },
      }),
    });
    let turn = 0;
    const serverTransport = h.server();
    const handshakeOptions = createServerHandshakeOptions(Type.Unknown(), () => ({ turn: ++turn }));
    createServer(serverTransport, { service }, { handshakeOptions });
    const client = createClient<{ service: typeof service }>(h.client());
    const { resReadable } = client.service.turns.subscribe({});
    const turns = resReadable[Symbol.asyncIterator]();
    await h.advance(150);
    expect(await turns.next()).toMatchObject({ value: Ok({ turn: 1 }) });
    serverTransport.requestRehandshake('client-1');
    await h.advance(100);
    expect(await turns.next()).toMatchObject({ value: Ok({ turn: 2 }) });
    resReadable.break();
    await h.settled();
  });

  test('has a deadline on its own clock and passes what is left of it on', async () => {
    let left: number | undefined;
    const { h, client } = await sceneOf((ctx) => {
      left = ctx.deadline === undefined ? undefined : ctx.deadline - ctx.clock.now();
      expect(ctx.callOptions).toEqual({ signal: ctx.signal, timeoutMs: left });
      return Ok({});
    });
    await using _ = h;
    await client.service.act.rpc({}, { timeoutMs: 100 });
    expect(left).toBe(100);
  });

  test.each<[string, (scene: Awaited<ReturnType<typeof sceneOf>>) => Promise<unknown>, string]>([
    ['a result', ({ client }) => client.service.act.rpc({}), 'it is complete'],
    [
      'a cancel of the client',
      async ({ h, client }) => {
        const controller = new AbortController();
        const result = client.service.act.rpc({}, { signal: controller.signal });
        await h.settled();
        controller.abort();
        return result;
      },
      'cancelled by client',
    ],
    [
      'its deadline',
      async ({ h, client }) => {
        const result = client.service.act.rpc({}, { timeoutMs: 10 });
        await h.advance(20);
        return result;
      },
      'deadline exceeded',
    ],
    [
      'the end of the session',
      async ({ h, client, clientTransport }) => {
        const result = client.service.act.rpc({});
        await h.settled();
        clientTransport.close();
        await h.advance(31_000);
        return result;
      },
      'client-1 unexpectedly disconnected: ',
    ],
    [
      'the end of the server',
      async ({ h, client, server }) => {
        const result = client.service.act.rpc({});
        await h.settled();
        await server.close();
        return result;
      },
      'server is closing',
    ],
  ])(
    'aborts its signal after %s, then runs the cleanups, the last first, each by itself',
    async (what, act, reason) => {
      const order: unknown[] = [];
      let settle: (() => void) | undefined;
      const scene = await sceneOf((ctx) => {
        ctx.signal.addEventListener('abort', () => order.push(ctx.signal.reason));
        ctx.deferCleanup(() => order.push('first'));
        ctx.deferCleanup(() => {
          throw new Error('broken cleanup');
        });
        ctx.deferCleanup(async () => {
          await new Promise((resolve) => setImmediate(resolve));
          order.push('last');
          ctx.deferCleanup(() => order.push('even later'));
        });
        if (what === 'a result') return Ok({});
        return new Promise((resolve) => {
          settle = () => resolve(Ok({}));
          ctx.signal.addEventListener('abort', () => settle?.());
        });
      });
      await using _ = scene.h;
      await act(scene);
      await scene.h.settled();
      expect(order).toEqual([expect.any(CallEndedError), 'last', 'even later', 'first']);
      expect((order[0] as CallEndedError).message).toContain(reason); // matched just above
      expect(scene.lines.filter(([message]) => message === 'a deferred cleanup failed')).toHaveLength(1);
      expect(scene.server.running).toBe(0);
    },
  );

  test('gives a signal after the end that is aborted, and runs cleanups deferred after it', async () => {
    let late: CallContext<unknown, unknown> | undefined;
    const { h, client } = await sceneOf((ctx) => {
      late = ctx;
      return Ok({});
    });
    await using _ = h;
    await client.service.act.rpc({});
    expect(late?.signal.aborted).toBe(true);
    const ran = new Promise<void>((resolve) => late?.deferCleanup(resolve));
    await ran;
  });
});

describe('a handler', () => {
  test.each<[string, () => never | Promise<never>]>([
    [
      'throws at once',
      () => {
        throw new Error('secret');
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret'))],
    ['rejects with something odd', () => Promise.reject(Object.create(null))],
    ['returns nothing', (): never => undefined as never],
    ['returns a promise of nothing', () => Promise.resolve(undefined as never)],
  ])('that %s fails its own call only, and the log says why', async (_what, act) => {
    const { h, client, lines, server } = await sceneOf(act);
    await using _ = h;
    expect(await client.service.act.rpc({})).toEqual(Err({ code: 'UNCAUGHT_ERROR', message: 'internal server error' }));
    expect(lines.some(([, fields]) => fields.error !== undefined && fields.procedure === 'act')).toBe(true);
    expect(server.openCalls).toBe(0);
    expect(server.running).toBe(0);
  });

  test('may close its own transport', async () => {
    const holder: { close?: () => void } = {};
    const { h, client, server } = await sceneOf(() => {
      holder.close?.();
      return Ok({});
    });
    await using _ = h;
    holder.close = () => void server.close();
    expect(await client.service.act.rpc({})).toMatchObject({ payload: { code: 'CANCEL' } });
  });
});

describe('a middleware', () => {
  type Outcome = Result<unknown, ErrorPayload> | undefined;
  const order: string[] = [];
  const Service = createServiceSchema();

  async function run(
    middlewares: Parameters<typeof Service.middleware>[0][],
    inner?: Parameters<typeof Service.middleware>[0],
  ) {
    order.length = 0;
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    const service = (inner === undefined ? Service : Service.middleware(inner)).define({
      rpc: Procedure.rpc({
        requestInit: Empty,
        responseData: Type.Object({ n: Type.Number() }),
        async handler() {
          order.push('handler');
          return Ok({ n: 1 });
        },
      }),
      boom: Procedure.rpc({
        requestInit: Empty,
        responseData: Empty,
        handler() {
          throw new Error('kaput');
        },
      }),
      upload: Procedure.upload({
        requestInit: Empty,
        requestData: Type.Object({ n: Type.Number() }),
        responseData: Type.Object({ n: Type.Number() }),
        async handler({ reqReadable }) {
          let n = 0;
          for await (const result of reqReadable) if (result.ok) n += result.payload.n;
          return Ok({ n });
        },
      }),
      count: Procedure.subscription({
        requestInit: Empty,
        responseData: Type.Object({ n: Type.Number() }),
        handler({ resWritable }) {
          resWritable.write(Ok({ n: 1 }));
          resWritable.close();
        },
      }),
    });
    const server = createServer(h.server(), { service }, { middlewares });
    return { h, server, client: createClient<{ service: typeof service }>(h.client()) };
  }

  test('runs around the handler, the outermost first, and sees its result', async () => {
    const outcomes: Outcome[] = [];
    const named =
      (name: string) =>
      async ({ next, procedureName }: { next: () => Promise<Outcome>; procedureName: string }) => {
        order.push(`${name} before ${procedureName}`);
        const outcome = await next();
        outcomes.push(outcome);
        order.push(`${name} after`);
        return outcome;
      };
    const { h, client } = await run([named('one'), named('two')], named('three'));
    await using _ = h;
    expect(await client.service.rpc.rpc({})).toEqual(Ok({ n: 1 }));
    expect(order).toEqual([
      'one before rpc',
      'two before rpc',
      'three before rpc',
      'handler',
      'three after',
      'two after',
      'one after',
    ]);
    expect(outcomes).toEqual([Ok({ n: 1 }), Ok({ n: 1 }), Ok({ n: 1 })]);
    expect(await client.service.count.subscribe({}).resReadable.collect()).toEqual([Ok({ n: 1 })]);
    expect(outcomes.slice(3)).toEqual([undefined, undefined, undefined]);
  });

  test('may refuse with an error of its own, whatever the procedure', async () => {
    const refusal = Err({ code: 'LOGIN_FIRST', message: 'log in', extras: { url: '/login' } });
    const { h, client, server } = await run([async () => refusal]);
    await using _ = h;
    expect(await client.service.rpc.rpc({})).toEqual(refusal);
    const { reqWritable, finalize } = client.service.upload.upload({});
    reqWritable.write({ n: 1 });
    expect(await finalize()).toEqual(refusal);
    expect(await client.service.count.subscribe({}).resReadable.collect()).toEqual([refusal]);
    expect(order).toEqual([]);
    await h.settled();
    expect(server.openCalls).toBe(0);
  });

  test('may answer in the place of the handler, if it answers what fits', async () => {
    const { h, client } = await run([async () => Ok({ n: 7 })]);
    await using _ = h;
    expect(await client.service.rpc.rpc({})).toEqual(Ok({ n: 7 }));
    const wrong = await run([async () => Ok({ n: 'x' })]);
    await using _wrong = wrong.h;
    expect(await wrong.client.service.rpc.rpc({})).toMatchObject({ payload: { code: 'UNCAUGHT_ERROR' } });
  });

  test('may turn what a handler throws into a result', async () => {
    const { h, client } = await run([
      async ({ next }) => {
        try {
          return await next();
        } catch (error) {
          return Err({ code: 'TRANSLATED', message: String(error) });
        }
      },
    ]);
    await using _ = h;
    expect(await client.service.boom.rpc({})).toEqual(Err({ code: 'TRANSLATED', message: 'Error: kaput' }));
  });

  test('that does not wait for the handler gets out of its way', async () => {
    const { h, client } = await run([({ next }) => void next()]);
    await using _ = h;
    expect(await client.service.rpc.rpc({})).toEqual(Ok({ n: 1 }));
    expect(await client.service.boom.rpc({})).toMatchObject({ payload: { code: 'UNCAUGHT_ERROR' } });
  });

  test.each<[string, Parameters<typeof Service.middleware>[0]]>([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
    ['never calls next()', () => undefined],
    ['answers with something else', () => 3 as never],
    [
      'calls next() twice',
      async ({ next }) => {
        await next();
        return next();
      },
    ],
  ])('that %s fails the call', async (_what, middleware) => {
    const { h, client, server } = await run([middleware]);
    await using _ = h;
    expect(await client.service.rpc.rpc({})).toEqual(Err({ code: 'UNCAUGHT_ERROR', message: 'internal server error' }));
    expect(server.running).toBe(0);
  });

  test('that takes its time loses no message', async () => {
    let release: () => void = () => undefined;
    const { h, client } = await run([
      async ({ next }) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return next();
      },
    ]);
    await using _ = h;
    const { reqWritable, finalize } = client.service.upload.upload({});
    for (const n of [1, 2, 3]) reqWritable.write({ n });
    const result = finalize();
    await h.settled();
    release();
    expect(await result).toEqual(Ok({ n: 6 }));
  });

  test('that takes too long lets no handler run for a call that has ended', async () => {
    let release: () => void = () => undefined;
    const outcomes: Outcome[] = [];
    const { h, client, server } = await run([
      async ({ next }) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        outcomes.push(await next());
        return undefined;
      },
    ]);
    await using _ = h;
    const controller = new AbortController();
    const result = client.service.rpc.rpc({}, { signal: controller.signal });
    await h.settled();
    controller.abort();
    await result;
    await h.settled();
    release();
    await h.settled();
    expect(order).toEqual([]);
    expect(outcomes).toEqual([Err({ code: 'CANCEL', message: 'cancelled by client' })]);
    expect(server.running).toBe(0);
  });
});

describe('a span', () => {
  /** Counts what is started and ended. */
  function countingApi() {
    const open = new Map<string, number>();
    let started = 0;
    let failed = 0;
    const api: OpenTelemetryApi = {
      trace: {
        getTracer: () => ({
          startSpan(name: string) {
            started += 1;
            const key = `${name} ${started}`;
            open.set(key, 1);
            return {
              setAttribute() {},
              addEvent() {},
              recordException() {},
              setStatus() {
                failed += 1;
              },
              end: () => void open.set(key, (open.get(key) ?? 0) - 1),
            };
          },
        }),
        setSpan: (context: unknown) => context,
      },
      context: { active: () => ({}), with: (_context: unknown, fn: () => unknown) => fn() },
      propagation: { inject() {}, extract: () => ({}) },
    };
    return {
      api,
      open,
      calls: () => [...open.keys()].filter((name) => /^(client|server)\./.test(name)),
      failed: () => failed,
    };
  }

  async function traced(
    act: (scene: { h: Harness; client: ReturnType<typeof createClient<Services>> }) => Promise<void>,
  ) {
    const counting = countingApi();
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    {
      await using _ = h;
      createServer(h.server({ telemetry: counting.api }), services);
      const client = createClient<Services>(h.client({ telemetry: counting.api }));
      await h.settled();
      await act({ h, client });
      await h.settled();
    }
    for (const name of counting.calls()) expect([name, counting.open.get(name)]).toEqual([name, 0]);
    return { names: counting.calls().map((name) => name.split(' ')[0]), failed: counting.failed() };
  }

  test('of each side ends once, however the call ends, and fails with it', async () => {
    const { names, failed } = await traced(async ({ h, client }) => {
      await client.math.add.rpc({ n: 1 });
      expect(await client.flow.count.subscribe({ to: 1 }).resReadable.collect()).toHaveLength(1);
      const controller = new AbortController();
      const given = client.math.wait.rpc({}, { signal: controller.signal });
      await h.settled();
      controller.abort();
      await given;
      const timed = client.math.wait.rpc({}, { timeoutMs: 10 });
      await h.advance(10);
      await timed;
      await client.math.boom.rpc({});
      await client.math.divide.rpc({ a: 1, b: 0 });
    });
    const called = ['math.add', 'flow.count', 'math.wait', 'math.wait', 'math.boom', 'math.divide'];
    expect(names).toEqual(called.flatMap((name) => [`client.${name}`, `server.${name}`]));
    expect(failed).toBe(8);
  });
});

describe('the log', () => {
  test('at its most talkative holds no payload and no metadata', async () => {
    const secret = 'tell-nobody';
    const lines: string[] = [];
    const { h, client, serverTransport, clientTransport } = await createPair();
    await using _ = h;
    for (const transport of [serverTransport, clientTransport]) {
      transport.bindLogger(
        (message, { error: _error, ...fields }) => lines.push(JSON.stringify([message, fields])),
        'debug',
      );
    }
    await client.math.types.rpc({ secret });
    await client.math.add.rpc({ n: secret as never });
    const { reqWritable, finalize } = client.flow.sum.upload({ multiplier: 1 });
    reqWritable.write({ value: secret as never });
    await finalize();
    await client.math.boom.rpc({});
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter((line) => line.includes(secret))).toEqual([]);
  });
});
