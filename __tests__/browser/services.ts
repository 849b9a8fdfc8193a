import { Type } from '@sinclair/typebox';
import { createServiceSchema, Err, Ok, Procedure } from 'holdfast';

/** A tick of the endless subscription every so often, in milliseconds. */
export const TICK_MS = 20;

/** What the server has of one client. */
interface Visitor {
  /** Every number that `note` was told, in order. */
  notes: number[];
  ticksSent: number;
  stopTicks: () => void;
}

class Visitors {
  readonly #byClient = new Map<string, Visitor>();

  of(clientId: string): Visitor {
    let visitor = this.#byClient.get(clientId);
    if (visitor === undefined) {
      visitor = { notes: [], ticksSent: 0, stopTicks: () => undefined };
      this.#byClient.set(clientId, visitor);
    }
    return visitor;
  }
}

const Service = createServiceSchema();
const Nothing = Type.Object({});
const Numbered = Type.Object({ n: Type.Integer() });
const Numbers = Type.Object({ numbers: Type.Array(Type.Integer()) });

const probe = Service.define(
  { initializeState: () => new Visitors() },
  {
    double: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Integer({ maximum: 1_000 }) }),
      responseData: Numbered,
      responseError: Type.Object({ code: Type.Literal('NEGATIVE'), message: Type.String() }),
      async handler({ reqInit: { n } }) {
        return n < 0 ? Err({ code: 'NEGATIVE', message: `expected 0 or more, got ${n}` }) : Ok({ n: 2 * n });
      },
    }),
    sum: Procedure.upload({
      requestInit: Type.Object({ start: Type.Integer() }),
      requestData: Type.Object({ bytes: Type.Uint8Array() }),
      responseData: Type.Object({ sum: Type.Integer(), bytes: Type.Uint8Array() }),
      async handler({ reqInit: { start }, reqReadable }) {
        const bytes: number[] = [];
        for await (const chunk of reqReadable) if (chunk.ok) bytes.push(...chunk.payload.bytes);
        return Ok({ sum: bytes.reduce((sum, byte) => sum + byte, start), bytes: Uint8Array.from(bytes) });
      },
    }),
    count: Procedure.subscription({
      requestInit: Type.Object({ to: Type.Integer() }),
      responseData: Numbered,
      async handler({ reqInit: { to }, resWritable }) {
        for (let n = 0; n < to; n++) resWritable.write(Ok({ n }));
        resWritable.close();
      },
    }),
    echo: Procedure.stream({
      requestInit: Type.Object({ prefix: Type.String() }),
      requestData: Type.Object({ text: Type.String() }),
      responseData: Type.Object({ text: Type.String() }),
      async handler({ reqInit: { prefix }, reqReadable, resWritable }) {
        for await (const line of reqReadable) {
          if (line.ok) resWritable.write(Ok({ text: `${prefix}${line.payload.text}` }));
        }
        resWritable.close();
      },
    }),

    // What follows goes on for as long as a test wants it to.
    note: Procedure.rpc({
      requestInit: Numbered,
      responseData: Numbered,
      async handler({ ctx, reqInit: { n } }) {
        ctx.state.of(ctx.from).notes.push(n);
        return Ok({ n });
      },
    }),
    notes: Procedure.rpc({
      requestInit: Nothing,
      responseData: Numbers,
      async handler({ ctx }) {
        return Ok({ numbers: ctx.state.of(ctx.from).notes });
      },
    }),
    ticks: Procedure.subscription({
      requestInit: Nothing,
      responseData: Numbered,
      async handler({ ctx, resWritable }) {
        const visitor = ctx.state.of(ctx.from);
        const timer = setInterval(() => resWritable.write(Ok({ n: visitor.ticksSent++ })), TICK_MS);
        ctx.deferCleanup(() => clearInterval(timer));
        visitor.stopTicks = () => {
          clearInterval(timer);
          resWritable.close();
        };
      },
    }),
    stopTicks: Procedure.rpc({
      requestInit: Nothing,
      responseData: Type.Object({ sent: Type.Integer() }),
      async handler({ ctx }) {
        const visitor = ctx.state.of(ctx.from);
        visitor.stopTicks();
        return Ok({ sent: visitor.ticksSent });
      },
    }),
    mirror: Procedure.stream({
      requestInit: Nothing,
      requestData: Numbered,
      responseData: Numbered,
      async handler({ reqReadable, resWritable }) {
        for await (const number of reqReadable) if (number.ok) resWritable.write(Ok(number.payload));
        resWritable.close();
      },
    }),
    keep: Procedure.upload({
      requestInit: Nothing,
      requestData: Numbered,
      responseData: Numbers,
      async handler({ reqReadable }) {
        const numbers: number[] = [];
        for await (const number of reqReadable) if (number.ok) numbers.push(number.payload.n);
        return Ok({ numbers });
      },
    }),
  },
);

/** What every server of these tests serves. Nothing in it is Node's: one of them runs in a browser. */
export const services = { probe };
/** Their type, which is all a client needs. */
export type Services = typeof services;
