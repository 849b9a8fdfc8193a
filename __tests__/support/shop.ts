import { Type } from '@sinclair/typebox';
import { createClient } from '../../router/client.ts';
import type { Client } from '../../router/clientTypes.ts';
import type { IdempotencyOptions } from '../../router/keyedCalls.ts';
import { Procedure } from '../../router/procedures.ts';
import { Err, Ok } from '../../router/result.ts';
import { createServer, type Server } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness, type Harness, type HarnessOptions } from '../../testUtil/harness.ts';
import type { ClientTransport } from '../../transport/client.ts';
import type { LogFields } from '../../transport/log.ts';
import type { ClientTransportOptions } from '../../transport/options.ts';
import type { ServerTransport } from '../../transport/server.ts';

const Order = Type.Object({ item: Type.String(), count: Type.Optional(Type.Number()) });
const Placed = Type.Object({ number: Type.Number() });
const SoldOut = Type.Object({ code: Type.Literal('SOLD_OUT'), message: Type.String() });

/** What happened in a shop, and how to hold it up. */
export class Till {
  /** Every order that was executed, in order: the effects. */
  readonly effects: string[] = [];
  readonly signals: AbortSignal[] = [];
  readonly callers: string[] = [];
  cleanups = 0;
  #gate: Promise<void> | undefined;
  #open: () => void = () => undefined;

  /** From now on orders have their effect, and no answer before {@link release}. */
  hold(): void {
    this.#gate ??= new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release(): void {
    this.#open();
    this.#gate = undefined;
  }

  async passed(): Promise<void> {
    await this.#gate;
  }
}

/** A service whose rpc must not be executed twice; what it does with an order depends on the item. */
export function shopOf(till: Till) {
  const orders = createServiceSchema().define({
    place: Procedure.rpc({
      requestInit: Order,
      responseData: Placed,
      responseError: SoldOut,
      async handler({ ctx, reqInit: { item } }) {
        const number = till.effects.push(item);
        till.signals.push(ctx.signal);
        till.callers.push(ctx.from);
        ctx.deferCleanup(() => {
          till.cleanups += 1;
        });
        if (item === 'cancelled') return ctx.cancel('not today');
        if (item === 'cancelled, goes on') void ctx.cancel('not today');
        await till.passed();
        if (item === 'none') return Err({ code: 'SOLD_OUT', message: 'nothing left' });
        if (item === 'broken') throw new Error('kaput');
        if (item === 'misfit') return Ok({ number: 'one' as never }); // a handler that lies to the compiler
        return Ok({ number });
      },
    }),
    refund: Procedure.rpc({
      requestInit: Order,
      responseData: Placed,
      async handler({ reqInit: { item } }) {
        return Ok({ number: till.effects.push(`refund of ${item}`) });
      },
    }),
    follow: Procedure.subscription({
      requestInit: Order,
      responseData: Placed,
      handler({ resWritable }) {
        resWritable.close();
      },
    }),
    fill: Procedure.upload({
      requestInit: Order,
      requestData: Order,
      responseData: Placed,
      handler: async () => Ok({ number: till.effects.push('fill') }),
    }),
    talk: Procedure.stream({
      requestInit: Order,
      requestData: Order,
      responseData: Placed,
      handler({ resWritable }) {
        resWritable.close();
      },
    }),
  });
  return { orders };
}

/** The type of its services. */
export type Shop = ReturnType<typeof shopOf>;

/** A server that may be started again, with clients, over one link. */
export class ShopStage implements AsyncDisposable {
  readonly h: Harness;
  readonly till = new Till();
  readonly lines: [message: string, fields: LogFields][] = [];
  readonly #compact: boolean;
  readonly #servers: Server<Shop>[] = [];
  #transport: ServerTransport | undefined;

  constructor(h: Harness, compact: boolean) {
    this.h = h;
    this.#compact = compact;
  }

  get transport(): ServerTransport {
    if (this.#transport === undefined) throw new Error('open() was not called');
    return this.#transport;
  }

  get server(): Server<Shop> {
    const server = this.#servers.at(-1);
    if (server === undefined) throw new Error('open() was not called');
    return server;
  }

  /** Starts the server. */
  open(
    idempotency: IdempotencyOptions | undefined,
    options: Omit<NonNullable<Parameters<typeof createServer<Shop>>[2]>, 'idempotency'> = {},
  ): void {
    const transport = this.h.server({ sessionDisconnectGraceMs: 600_000 });
    transport.bindLogger((message, fields) => this.lines.push([message, fields]), 'warn');
    this.#transport = transport;
    this.#servers.push(createServer(transport, shopOf(this.till), { ...options, idempotency }));
  }

  /** Its transport goes away, as with its process: sessions end, nobody is told anything. */
  crash(): void {
    this.#transport?.close();
  }

  client(
    options: ClientTransportOptions = {},
    clientId?: string,
  ): { transport: ClientTransport; client: Client<Shop> } {
    const extensions = { compact: this.#compact, ...options.extensions };
    const transport = this.h.client({ sessionDisconnectGraceMs: 600_000, ...options, extensions }, clientId);
    return { transport, client: createClient<Shop>(transport) };
  }

  /** The client's session is lost, whatever was on its way; a new one is made. */
  async hardReconnect(transport: ClientTransport): Promise<void> {
    transport.hardDisconnect();
    await this.h.settled();
    transport.endBackoff();
    await this.h.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.till.release();
    for (const server of this.#servers) {
      const closing = server.close();
      await this.h.settled();
      await this.h.advance(1_000);
      await closing;
    }
    await this.h[Symbol.asyncDispose]();
  }
}

/** A stage with nothing on it yet. */
export async function createShopStage(options: HarnessOptions, compact = true): Promise<ShopStage> {
  return new ShopStage(await createHarness(options), compact);
}
