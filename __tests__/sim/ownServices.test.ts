import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServiceSchema, Ok, Procedure } from 'holdfast';
import { runSeed, shrink, type Workload } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';

/** Places each order once; `forgets` is a bug: what was placed is not remembered. */
function orderServices(forgets: boolean) {
  const placed = new Map<number, number>();
  const orders = createServiceSchema().define({
    place: Procedure.rpc({
      requestInit: Type.Object({ id: Type.Integer() }),
      responseData: Type.Object({ count: Type.Integer() }),
      async handler({ ctx, reqInit: { id } }) {
        const count = (placed.get(id) ?? 0) + 1;
        if (!forgets) placed.set(id, count);
        return Ok({ count: forgets && ctx.clock.random() < 0.01 ? 2 : count });
      },
    }),
  });
  return { orders };
}

type OrderServices = ReturnType<typeof orderServices>;

function orderWorkload(forgets = false): Workload {
  return {
    name: 'orders',
    startServer({ transport }) {
      createServer(transport, orderServices(forgets));
      return {};
    },
    startClient({ transport, serverId, clock, isBusy, nextTag, fail }) {
      const client = createClient<OrderServices>(transport, serverId);
      let open = 0;
      const order = async (): Promise<void> => {
        open += 1;
        const result = await client.orders.place.rpc({ id: nextTag() });
        open -= 1;
        if (result.ok && result.payload.count !== 1) fail('orders', `placed ${result.payload.count} times`);
      };
      const stop = clock.every(200, () => {
        if (isBusy()) void order();
      });
      return { close: stop, unfinished: () => (open > 0 ? `${open} orders have no answer` : undefined) };
    },
  };
}

describe('services of an application', () => {
  test('run under every fault', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const outcome = await runSeed(seed, { workload: orderWorkload() });
      expect(outcome.violation, `seed ${seed}`).toBeUndefined();
    }
  }, 30_000);

  test('a promise of theirs that does not hold ends the run, with a trace', async () => {
    const outcome = await runSeed(1, { workload: orderWorkload(true) });
    expect(outcome.violation).toMatchObject({
      invariant: 'orders',
      message: expect.stringContaining('placed 2 times'),
    });
    // The event in which it broke goes on to its end, and no other comes.
    const { at } = outcome.trace.at(-1) ?? { at: 0 };
    const last = outcome.trace.filter((line) => line.at === at).map(({ what }) => what);
    expect(last).toContainEqual(expect.stringContaining('invariant orders is broken'));
    expect(outcome.ok).toBe(false);
  });

  test('what breaks it is made smaller', async () => {
    const workload = orderWorkload(true);
    const less = await shrink(1, 'orders', { workload });
    expect(less.faults).toEqual([]);
    expect(less.clients).toBe(1);
    expect(less.durationMs).toBeLessThan(60_000);
    const outcome = await runSeed(1, { ...less, workload });
    expect(outcome.violation?.invariant).toBe('orders');
  }, 60_000);
});
