import { createHash, type Hash } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import { createServiceSchema, Ok, Procedure } from 'holdfast';

/** A tick of the subscription every so often. */
const TICK_MS = 20;

/** Counts a numbered sequence as it arrives: anything but 0, 1, 2, … is a fault. */
export class Sequence {
  received = 0;
  duplicated = 0;
  outOfOrder = 0;
  readonly #seen = new Set<number>();

  take(n: number): void {
    if (this.#seen.has(n)) this.duplicated += 1;
    else if (n !== this.#seen.size) this.outOfOrder += 1;
    this.#seen.add(n);
    this.received += 1;
  }
}

/** What the server has of one client. */
interface Visitor {
  calls: Sequence;
  ticksSent: number;
  stopTicks: () => void;
}

class Visitors {
  readonly #byClient = new Map<string, Visitor>();

  of(clientId: string): Visitor {
    let visitor = this.#byClient.get(clientId);
    if (visitor === undefined) {
      visitor = { calls: new Sequence(), ticksSent: 0, stopTicks: () => undefined };
      this.#byClient.set(clientId, visitor);
    }
    return visitor;
  }
}

const Service = createServiceSchema();

const Figures = Type.Object({ received: Type.Integer(), duplicated: Type.Integer(), outOfOrder: Type.Integer() });

/** The demo's one service: a file goes up, ticks come down, calls go both ways. */
export const demo = Service.define(
  { initializeState: () => new Visitors() },
  {
    put: Procedure.upload({
      requestInit: Type.Object({ name: Type.String() }),
      requestData: Type.Object({ n: Type.Integer(), bytes: Type.Uint8Array() }),
      responseData: Type.Composite([Figures, Type.Object({ sha256: Type.String(), size: Type.Integer() })]),
      async handler({ reqReadable }) {
        const hash: Hash = createHash('sha256');
        const chunks = new Sequence();
        let size = 0;
        for await (const chunk of reqReadable) {
          if (!chunk.ok) throw new Error(`the upload failed: ${chunk.payload.code}`);
          chunks.take(chunk.payload.n);
          hash.update(chunk.payload.bytes);
          size += chunk.payload.bytes.length;
        }
        const { received, duplicated, outOfOrder } = chunks;
        return Ok({ received, duplicated, outOfOrder, size, sha256: hash.digest('hex') });
      },
    }),
    ticks: Procedure.subscription({
      requestInit: Type.Object({}),
      responseData: Type.Object({ n: Type.Integer() }),
      async handler({ ctx, resWritable }) {
        const visitor = ctx.state.of(ctx.from);
        const timer = setInterval(() => {
          resWritable.write(Ok({ n: visitor.ticksSent++ }));
        }, TICK_MS);
        ctx.deferCleanup(() => clearInterval(timer));
        visitor.stopTicks = () => {
          clearInterval(timer);
          resWritable.close();
        };
      },
    }),
    stopTicks: Procedure.rpc({
      requestInit: Type.Object({}),
      responseData: Type.Object({ sent: Type.Integer() }),
      async handler({ ctx }) {
        const visitor = ctx.state.of(ctx.from);
        visitor.stopTicks();
        return Ok({ sent: visitor.ticksSent });
      },
    }),
    call: Procedure.rpc({
      requestInit: Type.Object({ n: Type.Integer() }),
      responseData: Type.Object({ n: Type.Integer() }),
      async handler({ ctx, reqInit: { n } }) {
        ctx.state.of(ctx.from).calls.take(n);
        return Ok({ n });
      },
    }),
    callFigures: Procedure.rpc({
      requestInit: Type.Object({}),
      responseData: Figures,
      async handler({ ctx }) {
        const { received, duplicated, outOfOrder } = ctx.state.of(ctx.from).calls;
        return Ok({ received, duplicated, outOfOrder });
      },
    }),
  },
);
