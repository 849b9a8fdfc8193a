import { type Static, Type } from '@sinclair/typebox';
import { describe, expectTypeOf, test } from 'vitest';
import {
  type CallError,
  type CallOptions,
  type CancelError,
  type Client,
  connect,
  createClient,
  createClientHandshakeOptions,
  createServer,
  createServerHandshakeOptions,
  createServiceSchema,
  Err,
  type ErrResult,
  flattenErrorType,
  Ok,
  type OkResult,
  type ProcErrors,
  Procedure,
  type ProcHandler,
  type ProcInit,
  type ProcRequest,
  type ProcResponse,
  type Readable,
  type ReadableResult,
  type ReaderError,
  ReaderErrorSchema,
  type ResponseData,
  type Result,
  type UnkeyedCallOptions,
  unwrapOrThrow,
  values,
  type Writable,
} from '../index.ts';
import type { ClientTransport } from '../transport/client.ts';
import type { HandshakePeer } from '../transport/handshake.ts';
import type { ServerTransport } from '../transport/server.ts';

interface Context {
  db: { find(key: string): string };
}
interface Metadata {
  user: string;
}

const DivByZero = Type.Object({
  code: Type.Literal('DIV_BY_ZERO'),
  message: Type.String(),
  extras: Type.Object({ dividend: Type.Number() }),
});
type DivByZero = { code: 'DIV_BY_ZERO'; message: string; extras: { dividend: number } };

const Service = createServiceSchema<Context, Metadata>();

const math = Service.define(
  { initializeState: (context: Context) => ({ count: 0, first: context.db.find('a') }) },
  {
    add: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Number(), note: Type.Optional(Type.String()) }),
      responseData: Type.Object({ result: Type.Number() }),
      async handler({ ctx, reqInit }) {
        expectTypeOf(ctx.state).toEqualTypeOf<{ count: number; first: string }>();
        expectTypeOf(ctx.metadata).toEqualTypeOf<Metadata>();
        expectTypeOf(ctx.db).toEqualTypeOf<Context['db']>();
        expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(ctx.deadline).toEqualTypeOf<number | undefined>();
        expectTypeOf(ctx.callOptions).toEqualTypeOf<UnkeyedCallOptions>();
        expectTypeOf(reqInit).toEqualTypeOf<{ note?: string; n: number }>();
        return Ok({ result: reqInit.n });
      },
    }),
    divide: Procedure.rpc({
      requestInit: Type.Object({ a: Type.Number(), b: Type.Number() }),
      responseData: Type.Object({ result: Type.Number() }),
      responseError: DivByZero,
      handler({ ctx, reqInit: { a, b } }) {
        if (b === 0) return Err({ code: 'DIV_BY_ZERO', message: 'cannot', extras: { dividend: a } });
        if (a > 10) return ctx.cancel('too big');
        return Ok({ result: a / b });
      },
    }),
  },
);

const flow = createServiceSchema().define({
  sum: Procedure.upload({
    requestInit: Type.Object({ multiplier: Type.Number() }),
    requestData: Type.Object({ value: Type.Number() }),
    responseData: Type.Object({ total: Type.Number() }),
    async handler({ ctx, reqReadable }) {
      expectTypeOf(ctx.state).toEqualTypeOf<object>();
      expectTypeOf(reqReadable).toEqualTypeOf<Readable<{ value: number }, ReaderError>>();
      return Ok({ total: 0 });
    },
  }),
  count: Procedure.subscription({
    requestInit: Type.Object({ to: Type.Number() }),
    responseData: Type.Object({ kind: Type.Union([Type.Literal('a'), Type.Literal('b')]) }),
    responseError: Type.Union([DivByZero, Type.Object({ code: Type.Literal('OTHER'), message: Type.String() })]),
    async handler({ resWritable }) {
      resWritable.write(Ok({ kind: 'a' }));
      resWritable.write(Err({ code: 'OTHER', message: 'x' }));
      // @ts-expect-error: an error that is not declared
      resWritable.write(Err({ code: 'UNKNOWN', message: 'x' }));
      resWritable.close();
    },
  }),
  echo: Procedure.stream({
    requestInit: Type.Object({ prefix: Type.String() }),
    requestData: Type.Object({ msg: Type.String() }),
    responseData: Type.Object({ out: Type.String() }),
    handler({ reqReadable, resWritable }) {
      expectTypeOf(resWritable).toEqualTypeOf<Writable<Result<{ out: string }, never>>>();
      void reqReadable.collect();
    },
  }),
});

const services = { math, flow };
declare const clientTransport: ClientTransport;
declare const serverTransport: ServerTransport;
const client = createClient<typeof services>(clientTransport);

describe('a client', () => {
  test('has the one method of each procedure, typed by its schemas', () => {
    expectTypeOf(client.math.add).toHaveProperty('rpc');
    expectTypeOf(client.math.add).not.toHaveProperty('stream');
    expectTypeOf(client.math.add.rpc).parameter(0).toEqualTypeOf<{ note?: string; n: number }>();
    expectTypeOf(client.math.add.rpc).parameter(1).toEqualTypeOf<CallOptions | undefined>();
    // Only an rpc can be repeated.
    expectTypeOf(client.flow.sum.upload).parameter(1).toEqualTypeOf<UnkeyedCallOptions | undefined>();
    expectTypeOf(client.flow.count.subscribe).parameter(1).toEqualTypeOf<UnkeyedCallOptions | undefined>();
    expectTypeOf(client.flow.echo.stream).parameter(1).toEqualTypeOf<UnkeyedCallOptions | undefined>();
    expectTypeOf<UnkeyedCallOptions>().toExtend<CallOptions>();
    expectTypeOf<{ idempotencyKey: string }>().toExtend<CallOptions>();
    expectTypeOf<{ idempotencyKey: string }>().not.toExtend<UnkeyedCallOptions>();
    expectTypeOf<'OUTCOME_UNKNOWN' | 'IDEMPOTENCY_KEY_REUSED'>().toExtend<ReaderError['code']>();
    expectTypeOf(client.math.add.rpc).returns.resolves.toEqualTypeOf<Result<{ result: number }, ReaderError>>();
    expectTypeOf(client.math.divide.rpc).returns.resolves.toEqualTypeOf<
      Result<{ result: number }, DivByZero | ReaderError>
    >();
    expectTypeOf(client.flow.sum.upload).returns.toEqualTypeOf<{
      reqWritable: Writable<{ value: number }>;
      finalize: () => Promise<Result<{ total: number }, ReaderError>>;
    }>();
    expectTypeOf(client.flow.count.subscribe).returns.toEqualTypeOf<{
      resReadable: Readable<{ kind: 'a' | 'b' }, DivByZero | { code: 'OTHER'; message: string } | ReaderError>;
    }>();
    expectTypeOf(client.flow.echo.stream).returns.toEqualTypeOf<{
      reqWritable: Writable<{ msg: string }>;
      resReadable: Readable<{ out: string }, ReaderError>;
    }>();
    expectTypeOf(client).toEqualTypeOf<Client<typeof services>>();
  });

  test('refuses what is not there', () => {
    // @ts-expect-error: no such service
    client.nope;
    // @ts-expect-error: no such procedure
    client.math.nope;
    // @ts-expect-error: another kind
    client.math.add.stream({ n: 1 });
    // @ts-expect-error: a string is no number
    void client.math.add.rpc({ n: 'three' });
    // @ts-expect-error: an init is required
    void client.math.add.rpc();
    // @ts-expect-error: not an option
    void client.math.add.rpc({ n: 1 }, { timeout: 3 });
  });

  test('takes options that are undefined', () => {
    void client.math.add.rpc({ n: 1 }, { signal: undefined, timeoutMs: undefined, offline: undefined });
    createClient<typeof services>(clientTransport, undefined, {
      eagerlyConnect: undefined,
      connectOnInvoke: undefined,
      handshakeOptions: undefined,
    });
  });

  test('narrows errors by their code', async () => {
    const result = await client.math.divide.rpc({ a: 1, b: 0 });
    if (result.ok) expectTypeOf(result.payload.result).toEqualTypeOf<number>();
    else if (result.payload.code === 'DIV_BY_ZERO') {
      expectTypeOf(result.payload.extras).toEqualTypeOf<{ dividend: number }>();
    } else if (result.payload.code === 'CANCEL') expectTypeOf(result.payload).toEqualTypeOf<CancelError>();
  });

  test('gives plain values on request', async () => {
    const { resReadable } = client.flow.count.subscribe({ to: 3 });
    for await (const value of values(resReadable)) expectTypeOf(value).toEqualTypeOf<{ kind: 'a' | 'b' }>();
    for await (const result of resReadable) {
      expectTypeOf(result).toEqualTypeOf<
        ReadableResult<{ kind: 'a' | 'b' }, DivByZero | { code: 'OTHER'; message: string } | ReaderError>
      >();
    }
    expectTypeOf(unwrapOrThrow(await client.math.add.rpc({ n: 1 }))).toEqualTypeOf<{ result: number }>();
    expectTypeOf<CallError<DivByZero>['code']>().toEqualTypeOf<'DIV_BY_ZERO'>();
    expectTypeOf<CallError<DivByZero>['extras']>().toEqualTypeOf<{ dividend: number }>();
  });

  test('comes with its transport from connect', () => {
    const connected = connect<typeof services>('wss://host/path', { auth: { token: 'x' } });
    expectTypeOf(connected.client).toEqualTypeOf<Client<typeof services>>();
  });

  test('writes from any source', () => {
    const { reqWritable } = client.flow.sum.upload({ multiplier: 2 });
    expectTypeOf(reqWritable.write).returns.toEqualTypeOf<boolean>();
    void reqWritable.writeAll([{ value: 1 }], { onConfirmed: (bytes) => expectTypeOf(bytes).toEqualTypeOf<number>() });
    void reqWritable.writeAll(new ReadableStream<{ value: number }>());
    // @ts-expect-error: a source of something else
    void reqWritable.writeAll([{ value: 'x' }]);
  });
});

describe('a handler', () => {
  const requestInit = Type.Object({});
  const responseData = Type.Object({ result: Type.Number() });

  test('may not answer something else', () => {
    Procedure.rpc({
      requestInit,
      responseData,
      // @ts-expect-error: result is a number
      async handler() {
        return Ok({ result: 'x' });
      },
    });
    Procedure.rpc({
      requestInit,
      responseData,
      // @ts-expect-error: no error is declared
      async handler() {
        return Err({ code: 'X', message: 'x' });
      },
    });
    Procedure.rpc({
      requestInit,
      responseData,
      // @ts-expect-error: nothing is no result
      async handler() {},
    });
  });

  test('declares errors with a literal code and a message only', () => {
    const definition = { requestInit, responseData, handler: async () => Ok({ result: 1 }) };
    Procedure.rpc({ ...definition, responseError: Type.Never() });
    Procedure.rpc({ ...definition, responseError: undefined });
    Procedure.rpc({ ...definition, responseError: Type.Union([DivByZero, Type.Union([DivByZero])]) });
    // @ts-expect-error: any string
    Procedure.rpc({ ...definition, responseError: Type.Object({ code: Type.String(), message: Type.String() }) });
    // @ts-expect-error: no message
    Procedure.rpc({ ...definition, responseError: Type.Object({ code: Type.Literal('X') }) });
  });

  test('keeps the literals of what it answers, deep inside and in arrays', () => {
    expectTypeOf(Ok({ a: [{ kind: 'x' }] })).toExtend<OkResult<{ a: { kind: 'x' }[] }>>();
    expectTypeOf(Ok(new Uint8Array())).toEqualTypeOf<OkResult<Uint8Array<ArrayBuffer>>>();
    const something: unknown = 3;
    expectTypeOf(Ok(something)).toEqualTypeOf<OkResult<unknown>>();
    expectTypeOf(Err({ code: 'X', message: 'x' })).toEqualTypeOf<ErrResult<{ code: 'X'; message: string }>>();
  });

  test('outside of a service knows what every call has', () => {
    const alone = Procedure.rpc({
      requestInit,
      responseData,
      async handler({ ctx }) {
        expectTypeOf(ctx.state).toEqualTypeOf<object>();
        expectTypeOf(ctx.metadata).toEqualTypeOf<object>();
        return Ok({ result: ctx.streamId.length });
      },
    });
    Service.define({ initializeState: () => ({ count: 0 }) }, { alone });
  });

  test('may not need more than its service gives', () => {
    const greedy = Procedure.rpc({
      requestInit,
      responseData,
      async handler({ ctx }: { ctx: { state: { other: string } } }) {
        return Ok({ result: ctx.state.other.length });
      },
    });
    // @ts-expect-error: the state has no `other`
    Service.define({ initializeState: () => ({ count: 0 }) }, { greedy });
  });

  test('may stand in a scaffold', () => {
    const scaffold = Service.scaffold({ initializeState: (context) => ({ count: context.db.find('a').length }) });
    const some = scaffold.procedures({
      one: Procedure.rpc({
        requestInit,
        responseData,
        async handler({ ctx }) {
          return Ok({ result: ctx.state.count });
        },
      }),
    });
    const service = scaffold.finalize({ ...some });
    expectTypeOf(createClient<{ service: typeof service }>(clientTransport).service.one).toHaveProperty('rpc');
  });
});

describe('a middleware', () => {
  test('sees a typed context and may answer with any error', () => {
    Service.middleware(async ({ ctx, reqInit, next }) => {
      expectTypeOf(ctx.db).toEqualTypeOf<Context['db']>();
      expectTypeOf(ctx.metadata).toEqualTypeOf<Metadata>();
      expectTypeOf(reqInit).toEqualTypeOf<unknown>();
      if (ctx.metadata.user === '') return Err({ code: 'WHO_ARE_YOU', message: 'log in' });
      return next();
    }).middleware(({ next }) => {
      void next();
    });
  });

  test('may not answer something that is no result', () => {
    // @ts-expect-error: no result
    Service.middleware(async () => 3);
  });
});

describe('a server', () => {
  const extendedContext: Context = { db: { find: (key) => key } };
  const handshakeOptions = createServerHandshakeOptions(
    Type.Object({ token: Type.String() }),
    async (metadata, previous, from, peer) => {
      expectTypeOf(metadata).toEqualTypeOf<{ token: string }>();
      expectTypeOf(from).toEqualTypeOf<string>();
      expectTypeOf(peer).toEqualTypeOf<HandshakePeer>();
      expectTypeOf(previous).toEqualTypeOf<object | undefined>();
      if (metadata.token === '') return 'REJECTED_BY_CUSTOM_HANDLER';
      return { user: metadata.token, until: 3 };
    },
    { principal: (metadata) => metadata.user, expiry: (metadata) => metadata.until },
  );

  test('needs what its services need', () => {
    const server = createServer(serverTransport, services, { extendedContext, handshakeOptions });
    expectTypeOf(server.services.math.state).toEqualTypeOf<{ count: number; first: string }>();
    createServer([serverTransport], services, { extendedContext, handshakeOptions, middlewares: undefined });
    createServer(serverTransport, { flow });
    createServer(serverTransport, { flow }, { exposeErrorMessages: true });
    // @ts-expect-error: everything is missing
    createServer(serverTransport, services);
    // @ts-expect-error: the handshake is missing
    createServer(serverTransport, services, { extendedContext });
    // @ts-expect-error: the context is missing
    createServer(serverTransport, services, { handshakeOptions });
    // @ts-expect-error: the wrong context
    createServer(serverTransport, services, { extendedContext: { db: 3 }, handshakeOptions });
    const nobody = createServerHandshakeOptions(Type.Object({}), () => ({ name: 'x' }));
    // @ts-expect-error: the wrong metadata
    createServer(serverTransport, services, { extendedContext, handshakeOptions: nobody });
  });

  test('adds up the needs of several services', () => {
    const other = createServiceSchema<{ mail: string }>().define({});
    createServer(
      serverTransport,
      { math, other },
      { extendedContext: { ...extendedContext, mail: 'x' }, handshakeOptions },
    );
    // @ts-expect-error: one half of the context is missing
    createServer(serverTransport, { math, other }, { extendedContext, handshakeOptions });
  });

  test('refuses metadata of the wrong type', () => {
    // @ts-expect-error: neither an object nor a code
    createServerHandshakeOptions(Type.Object({}), () => 'no');
  });
});

describe('a client handshake', () => {
  test('is typed by a schema, or by what it makes', () => {
    const schema = Type.Object({ token: Type.String() });
    createClientHandshakeOptions(schema, async () => ({ token: 'x' }));
    createClientHandshakeOptions(() => ({ anything: 1 }));
    // @ts-expect-error: not what the schema describes
    createClientHandshakeOptions(schema, () => ({ token: 3 }));
    createClient(clientTransport, 'SERVER', { handshakeOptions: createClientHandshakeOptions(() => ({ a: 1 })) });
  });
});

describe('the types of parts', () => {
  test('name what crosses the wire', () => {
    expectTypeOf<ProcInit<typeof math, 'add'>>().toEqualTypeOf<{ note?: string; n: number }>();
    expectTypeOf<ProcRequest<typeof flow, 'sum'>>().toEqualTypeOf<{ value: number }>();
    expectTypeOf<ProcRequest<typeof math, 'add'>>().toEqualTypeOf<never>();
    expectTypeOf<ProcResponse<typeof flow, 'echo'>>().toEqualTypeOf<{ out: string }>();
    expectTypeOf<ProcErrors<typeof math, 'divide'>>().toEqualTypeOf<DivByZero | ReaderError>();
    expectTypeOf<ProcHandler<typeof math, 'add'>>().toBeFunction();
    expectTypeOf<ResponseData<typeof client, 'math', 'add'>>().toEqualTypeOf<{ result: number }>();
    expectTypeOf<ResponseData<typeof client, 'flow', 'sum'>>().toEqualTypeOf<{ total: number }>();
    expectTypeOf<ResponseData<typeof client, 'flow', 'count'>>().toEqualTypeOf<{ kind: 'a' | 'b' }>();
    expectTypeOf<ResponseData<typeof client, 'flow', 'echo'>>().toEqualTypeOf<{ out: string }>();
  });

  test('the reserved errors are described by their schema', () => {
    expectTypeOf<Static<typeof ReaderErrorSchema>['code']>().toEqualTypeOf<ReaderError['code']>();
    expectTypeOf<Static<ReaderErrorSchema>>().toExtend<ReaderError>();
    const flat = flattenErrorType(Type.Union([DivByZero, Type.Union([DivByZero, ReaderErrorSchema])]));
    expectTypeOf<Static<typeof flat>>().toEqualTypeOf<DivByZero | Static<ReaderErrorSchema>>();
    expectTypeOf(flattenErrorType(DivByZero)).toEqualTypeOf(DivByZero);
  });
});
