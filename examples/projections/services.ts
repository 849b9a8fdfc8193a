import { Type } from '@sinclair/typebox';
import { createServiceSchema, Ok, Procedure } from 'holdfast';
import { type CheckpointStore, type Engine, once } from 'holdfast/consume';
import { type Position, PositionSchema, type Topic } from 'holdfast/watch';
import { OrderEvent } from './orders.ts';

const Status = Type.Object({
  id: Type.String(),
  status: Type.String(),
  at: Type.Integer(),
  attempt: Type.Integer(),
  error: Type.Optional(Type.Object({ message: Type.String(), at: Type.Integer() })),
});
const Id = Type.Object({ id: Type.String() });
const Nothing = Type.Object({});

/** The shop for its customers, and its projections for whoever looks after them. */
export function createServices(topic: Topic<OrderEvent>, store: CheckpointStore<unknown>, engine: Engine) {
  const Service = createServiceSchema();
  return {
    shop: Service.define({
      // A command is repeated with its id until there is an answer; the ledger makes it one event.
      command: Procedure.rpc({
        requestInit: Type.Object({ id: Type.String(), event: OrderEvent }),
        responseData: Type.Object({ position: PositionSchema, isNew: Type.Boolean() }),
        async handler({ reqInit: { id, event } }) {
          // Claim and event commit together: the topic publishes in the transaction that is open.
          const { ran, result } = once(store, 'commands', id, (): Position => topic.publish(event));
          return Ok({ position: result, isNew: ran });
        },
      }),
    }),
    projections: Service.define({
      status: Procedure.rpc({
        requestInit: Nothing,
        responseData: Type.Object({ records: Type.Array(Status) }),
        async handler() {
          const records = (await engine.status()).map(({ id, status, position, attempt, error }) => ({
            ...{ id, status, attempt, at: position?.offset ?? 0 },
            ...(error !== undefined && { error: { message: error.message, at: error.position?.offset ?? 0 } }),
          }));
          return Ok({ records });
        },
      }),
      reached: Procedure.rpc({
        requestInit: Type.Object({ position: PositionSchema, ids: Type.Array(Type.String()) }),
        responseData: Nothing,
        async handler({ ctx, reqInit: { position, ids } }) {
          await engine.reached(position, { ids, timeoutMs: 10_000, signal: ctx.signal });
          return Ok({});
        },
      }),
      pause: Procedure.rpc({
        requestInit: Id,
        responseData: Nothing,
        handler: async ({ reqInit: { id } }) => engine.pause(id).then(() => Ok({})),
      }),
      reactivate: Procedure.rpc({
        requestInit: Id,
        responseData: Nothing,
        handler: async ({ reqInit: { id } }) => engine.reactivate(id).then(() => Ok({})),
      }),
      rebuild: Procedure.rpc({
        requestInit: Id,
        responseData: Nothing,
        handler: async ({ reqInit: { id } }) => engine.rebuild(id).then(() => Ok({})),
      }),
    }),
  };
}

export type Services = ReturnType<typeof createServices>;
