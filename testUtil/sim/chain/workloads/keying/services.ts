import { Type } from '@sinclair/typebox';
import type { UnkeyedCallOptions } from '../../../../../router/callOptions.ts';
import { Procedure } from '../../../../../router/procedures.ts';
import { Err, Ok } from '../../../../../router/result.ts';
import { createServiceSchema } from '../../../../../router/services.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import { pauseOf } from '../pauseOf.ts';
import type { Hop, Order, OrderTruth } from './orderTruth.ts';

const MAX_PAUSE_MS = 6_000;

const OrderSchema = Type.Object({ id: Type.Integer(), item: Type.String(), isBooked: Type.Boolean() });

/** Asks the next hop; what it returns is the code of what the hop did not do. */
export type Onward = (order: Order, options: UnkeyedCallOptions) => Promise<string | undefined>;

/** The services of a hop: it places an order, and then has it placed by whoever is next. */
export function orderServices(
  { clock, isAlive, fail, did }: ChainContext,
  hop: Hop,
  truth: OrderTruth,
  onward: Onward,
) {
  const orders = createServiceSchema().define({
    place: Procedure.rpc({
      requestInit: OrderSchema,
      responseData: Type.Object({ item: Type.String() }),
      responseError: Type.Object({ code: Type.Literal('NOT_PLACED'), message: Type.String() }),
      async handler({ ctx, reqInit: order }) {
        const pause = () => pauseOf(clock, clock.random() ** 4 * MAX_PAUSE_MS, ctx.signal);
        await pause();
        if (ctx.signal.aborted) return ctx.cancel('nobody wants it any more');
        if (isAlive()) {
          const fault = truth.happens(hop, order);
          if (fault !== undefined) fail('14', fault);
          did(`orders placed by the ${hop}`);
        }
        await pause();
        const code = await onward(order, ctx.callOptions);
        return code === undefined ? Ok({ item: order.item }) : Err({ code: 'NOT_PLACED', message: code });
      },
    }),
  });
  return { orders };
}

export type OrderServices = ReturnType<typeof orderServices>;

/** The key of an order: not of what is ordered, which another request may say otherwise. */
export function keyOf({ id }: Order): string {
  return `order ${id}`;
}
