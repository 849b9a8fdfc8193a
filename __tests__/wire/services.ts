import { Type } from '@sinclair/typebox';
import { Procedure } from '../../router/procedures.ts';
import { Err, Ok } from '../../router/result.ts';
import { createServerHandshakeOptions } from '../../router/serverHandshake.ts';
import { createServiceSchema } from '../../router/services.ts';

const Service = createServiceSchema();
const nothing = Type.Object({});
const divisionByZero = Type.Object({
  code: Type.Literal('DIV_BY_ZERO'),
  message: Type.String(),
  extras: Type.Object({ dividend: Type.Number() }),
});
const everyType = Type.Object({
  bytes: Type.Uint8Array(),
  big: Type.BigInt(),
  text: Type.String(),
  nil: Type.Null(),
});

const math = Service.define(
  { initializeState: () => ({ total: 0 }) },
  {
    /** Adds to a running total. */
    add: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Number() }),
      responseData: Type.Object({ result: Type.Number() }),
      async handler({ ctx, reqInit: { n } }) {
        ctx.state.total += n;
        return Ok({ result: ctx.state.total });
      },
    }),
    divide: Procedure.rpc({
      requestInit: Type.Object({ a: Type.Number(), b: Type.Number() }),
      responseData: Type.Object({ result: Type.Number() }),
      responseError: divisionByZero,
      async handler({ reqInit: { a, b } }) {
        if (b !== 0) return Ok({ result: a / b });
        return Err({ code: 'DIV_BY_ZERO', message: 'cannot divide by zero', extras: { dividend: a } });
      },
    }),
    boom: Procedure.rpc({
      requestInit: nothing,
      responseData: nothing,
      async handler() {
        throw new Error('kaput');
      },
    }),
    /** Returns only when it is aborted. */
    wait: Procedure.rpc({
      requestInit: nothing,
      responseData: nothing,
      async handler({ ctx: { signal } }) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        return Ok({});
      },
    }),
    cancelMe: Procedure.rpc({
      requestInit: nothing,
      responseData: nothing,
      handler: async ({ ctx }) => ctx.cancel('server says no'),
    }),
    /** Echoes what JSON has no type for. */
    types: Procedure.rpc({
      requestInit: everyType,
      responseData: everyType,
      handler: async ({ reqInit }) => Ok(reqInit),
    }),
  },
);

const flow = Service.define({
  sum: Procedure.upload({
    requestInit: Type.Object({ multiplier: Type.Number() }),
    requestData: Type.Object({ value: Type.Number() }),
    responseData: Type.Object({ total: Type.Number() }),
    async handler({ reqInit: { multiplier }, reqReadable }) {
      let total = 0;
      for await (const result of reqReadable) if (result.ok) total += result.payload.value * multiplier;
      return Ok({ total });
    },
  }),
  count: Procedure.subscription({
    requestInit: Type.Object({ to: Type.Number() }),
    responseData: Type.Object({ i: Type.Number() }),
    async handler({ reqInit: { to }, resWritable }) {
      for (let i = 0; i < to; i++) resWritable.write(Ok({ i }));
      resWritable.close();
    },
  }),
  forever: Procedure.subscription({
    requestInit: nothing,
    responseData: Type.Object({ i: Type.Number() }),
    async handler({ ctx, resWritable }) {
      let i = 0;
      ctx.deferCleanup(ctx.clock.every(10, () => resWritable.write(Ok({ i: i++ }))));
    },
  }),
  echo: Procedure.stream({
    requestInit: Type.Object({ prefix: Type.String() }),
    requestData: Type.Object({ msg: Type.String() }),
    responseData: Type.Object({ out: Type.String() }),
    async handler({ reqInit: { prefix }, reqReadable, resWritable }) {
      for await (const result of reqReadable)
        if (result.ok) resWritable.write(Ok({ out: prefix + result.payload.msg }));
      resWritable.close();
    },
  }),
});

/** The services behind the recordings. */
export const services = { math, flow };

/** How the recorded server judges metadata, in the scenarios that have any: `{token}`, and 'bad' is refused. */
export const handshakeOptions = createServerHandshakeOptions(Type.Object({ token: Type.String() }), ({ token }) =>
  token === 'bad' ? 'REJECTED_BY_CUSTOM_HANDLER' : { token },
);
