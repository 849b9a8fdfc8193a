import { Type } from '@sinclair/typebox';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import type { Client } from '../../router/clientTypes.ts';
import { Procedure } from '../../router/procedures.ts';
import { Err, Ok } from '../../router/result.ts';
import { createServer, type Server } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness, type Harness } from '../../testUtil/harness.ts';
import type { ClientTransport } from '../../transport/client.ts';
import type { ClientTransportOptions } from '../../transport/options.ts';
import type { ServerTransport } from '../../transport/server.ts';
import { BarePeer, messageOf } from './barePeer.ts';

const Empty = Type.Object({});
const Counted = Type.Object({ i: Type.Number() });

/** The services behind the recordings of River's wire. */
export const math = createServiceSchema().define(
  { initializeState: () => ({ count: 0 }) },
  {
    add: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Number() }),
      responseData: Type.Object({ result: Type.Number() }),
      async handler({ ctx, reqInit: { n } }) {
        ctx.state.count += n;
        return Ok({ result: ctx.state.count });
      },
    }),
    divide: Procedure.rpc({
      requestInit: Type.Object({ a: Type.Number(), b: Type.Number() }),
      responseData: Type.Object({ result: Type.Number() }),
      responseError: Type.Object({
        code: Type.Literal('DIV_BY_ZERO'),
        message: Type.String(),
        extras: Type.Object({ dividend: Type.Number() }),
      }),
      async handler({ reqInit: { a, b } }) {
        if (b === 0) return Err({ code: 'DIV_BY_ZERO', message: 'cannot divide by zero', extras: { dividend: a } });
        return Ok({ result: a / b });
      },
    }),
    boom: Procedure.rpc({
      requestInit: Empty,
      responseData: Empty,
      async handler() {
        throw new Error('kaput');
      },
    }),
    wait: Procedure.rpc({
      requestInit: Empty,
      responseData: Empty,
      async handler({ ctx }) {
        if (!ctx.signal.aborted) await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
        return Ok({});
      },
    }),
    cancelMe: Procedure.rpc({
      requestInit: Empty,
      responseData: Empty,
      async handler({ ctx }) {
        return ctx.cancel('server says no');
      },
    }),
    types: Procedure.rpc({
      requestInit: Type.Unknown(),
      responseData: Type.Unknown(),
      async handler({ reqInit }) {
        return Ok(reqInit);
      },
    }),
  },
);

/** The other half of them. */
export const flow = createServiceSchema().define({
  sum: Procedure.upload({
    requestInit: Type.Object({ multiplier: Type.Number() }),
    requestData: Type.Object({ value: Type.Number() }),
    responseData: Type.Object({ total: Type.Number() }),
    async handler({ ctx, reqInit: { multiplier }, reqReadable }) {
      let total = 0;
      for await (const result of reqReadable) {
        if (!result.ok) return ctx.cancel(result.payload.code);
        total += result.payload.value * multiplier;
      }
      return Ok({ total });
    },
  }),
  count: Procedure.subscription({
    requestInit: Type.Object({ to: Type.Number({ maximum: 10_000 }) }), // whoever asks for 2^31 waits for hours, as do all others
    responseData: Counted,
    async handler({ reqInit: { to }, resWritable }) {
      for (let i = 0; i < to; i += 1) resWritable.write(Ok({ i }));
      resWritable.close();
    },
  }),
  forever: Procedure.subscription({
    requestInit: Empty,
    responseData: Counted,
    async handler({ ctx, resWritable }) {
      let i = 0;
      const stop = ctx.clock.every(10, () => resWritable.write(Ok({ i: i++ })));
      ctx.deferCleanup(stop);
      ctx.signal.addEventListener('abort', () => resWritable.close());
    },
  }),
  echo: Procedure.stream({
    requestInit: Type.Object({ prefix: Type.String() }),
    requestData: Type.Object({ msg: Type.String() }),
    responseData: Type.Object({ out: Type.String() }),
    async handler({ reqInit: { prefix }, reqReadable, resWritable }) {
      for await (const result of reqReadable) {
        if (result.ok) resWritable.write(Ok({ out: prefix + result.payload.msg }));
      }
      resWritable.close();
    },
  }),
});

/** Both. */
export const services = { math, flow };
/** Their type. */
export type Services = typeof services;

/** A server and a client of these services. */
export interface Pair {
  h: Harness;
  serverTransport: ServerTransport;
  clientTransport: ClientTransport;
  server: Server<Services>;
  client: Client<Services>;
}

/** A server and a client of these services, over memory. */
export async function createPair(clientOptions: ClientTransportOptions = {}): Promise<Pair> {
  const h = await createHarness({ transport: 'memory', codec: JsonCodec });
  const serverTransport = h.server();
  const clientTransport = h.client(clientOptions);
  const server = createServer(serverTransport, services);
  const client = createClient<Services>(clientTransport);
  await h.settled();
  return { h, serverTransport, clientTransport, server, client };
}

/** A River client, spoken by hand, in a session with the server of a harness. */
export class RiverClient {
  readonly peer: BarePeer;
  readonly #h: Harness;
  #seq = 0;
  #seen = 0;

  constructor(h: Harness, peer: BarePeer) {
    this.#h = h;
    this.peer = peer;
  }

  static async connect(h: Harness, clientId = 'client-1'): Promise<RiverClient> {
    const peer = new BarePeer(await h.link.dial('SERVER'), JsonCodec);
    await peer.handshake({ from: clientId, sessionId: `session-of-${clientId}` });
    return new RiverClient(h, peer);
  }

  send(streamId: string, controlFlags: number, payload: unknown, names: object = {}, from = 'client-1'): void {
    this.peer.send(messageOf({ from, streamId, controlFlags, payload, seq: this.#seq++, ...names }));
  }

  /** Opens a stream: `service.procedure`. */
  open(streamId: string, name: string, controlFlags: number, payload: unknown, from?: string): void {
    const [serviceName, procedureName] = name.split('.');
    const names = { serviceName, procedureName, tracing: { traceparent: '', tracestate: '' } };
    this.send(streamId, controlFlags, payload, names, from);
  }

  cancel(streamId: string): void {
    this.send(streamId, 4, Err({ code: 'CANCEL', message: 'cancelled by client' }));
  }

  /** What the server has said since the last time, without ids, counters and heartbeats. */
  async heard(): Promise<[streamId: string, controlFlags: number, payload: unknown][]> {
    await this.#h.settled();
    const fresh = this.peer.messages.slice(1 + this.#seen); // the first is the handshake's answer
    this.#seen += fresh.length;
    return fresh
      .filter(({ controlFlags }) => (controlFlags & 1) === 0)
      .map(({ streamId, controlFlags, payload }) => [streamId, controlFlags, payload]);
  }
}
