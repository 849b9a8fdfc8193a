import { Type } from '@sinclair/typebox';
import {
  createClient,
  createServer,
  createServiceSchema,
  type IdempotencyStore,
  MemoryIdempotencyStore,
  Ok,
  Procedure,
} from 'holdfast';
import { runSeed, type Workload } from 'holdfast/testing';
import { SqliteIdempotencyStore } from 'holdfast/watch';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { type FaultClass, faultClasses } from '../../testUtil/sim/run/faultClasses.ts';

/** What a caller may hear who does not hear the outcome. */
const HONEST = ['OUTCOME_UNKNOWN', 'UNEXPECTED_DISCONNECT', 'IDEMPOTENCY_UNSUPPORTED', 'SESSION_BUFFER_FULL'];

/** The world outside of all processes: what was delivered stays delivered. */
class Warehouse {
  readonly deliveries = new Map<number, number>();
  readonly heard: Record<string, number> = {};

  deliver(id: number): number {
    const count = (this.deliveries.get(id) ?? 0) + 1;
    this.deliveries.set(id, count);
    return count;
  }
}

function orderServices(warehouse: Warehouse) {
  const orders = createServiceSchema().define({
    place: Procedure.rpc({
      requestInit: Type.Object({ id: Type.Integer() }),
      responseData: Type.Object({ id: Type.Integer(), count: Type.Integer() }),
      async handler({ ctx, reqInit: { id } }) {
        const pause = () => new Promise<void>((resolve) => ctx.clock.after(ctx.clock.random() ** 4 * 6_000, resolve));
        await pause();
        const count = warehouse.deliver(id);
        await pause();
        return Ok({ id, count });
      },
    }),
  });
  return { orders };
}

interface Settings {
  readonly warehouse: Warehouse;
  readonly ttlMs: number;
  readonly storeFor: (clock: Parameters<Workload['startServer']>[0]['clock']) => IdempotencyStore;
  /** A bug of the application: two orders, two keys, one effect that should be two. */
  readonly forgetsKeys?: boolean;
}

function keyedOrders({ warehouse, ttlMs, storeFor, forgetsKeys = false }: Settings): Workload {
  return {
    name: 'keyed orders',
    startServer({ transport, clock }) {
      const server = createServer(transport, orderServices(warehouse), {
        idempotency: { store: storeFor(clock), ttlMs },
      });
      return { close: () => void server.close() };
    },
    startClient({ transport, serverId, clock, isBusy, nextTag, fail }) {
      const client = createClient<ReturnType<typeof orderServices>>(transport, serverId);
      let open = 0;
      const order = async (): Promise<void> => {
        const id = nextTag();
        const key = forgetsKeys ? {} : { idempotencyKey: `order ${id}` };
        open += 1;
        let result = await client.orders.place.rpc({ id }, key);
        // What an application does that was told nothing, without a key.
        if (forgetsKeys && !result.ok) result = await client.orders.place.rpc({ id });
        open -= 1;
        const code = result.ok ? 'ok' : result.payload.code;
        warehouse.heard[code] = (warehouse.heard[code] ?? 0) + 1;
        const count = warehouse.deliveries.get(id) ?? 0;
        if (count > 1) fail('orders', `order ${id} was delivered ${count} times`);
        if (!result.ok && !HONEST.includes(code)) fail('orders', `order ${id} ended with ${code}`);
        if (code === 'IDEMPOTENCY_UNSUPPORTED' && count !== 0) fail('orders', `order ${id} was sent all the same`);
        if (result.ok && (result.payload.id !== id || result.payload.count !== 1 || count !== 1))
          fail('orders', `order ${id} got ${JSON.stringify(result.payload)}, and was delivered ${count} times`);
      };
      const stop = clock.every(150, () => {
        if (isBusy() && open < 20) void order();
      });
      return { close: stop, unfinished: () => (open > 0 ? `${open} orders have no answer` : undefined) };
    },
  };
}

/** What a machine restored from a snapshot has done since then, only the world outside remembers. */
const rollbacks: readonly FaultClass[] = ['serverRollback', 'clientRollback'];
const noRollback = faultClasses.filter((kind) => !rollbacks.includes(kind));

describe('orders with idempotency keys', () => {
  test('are delivered once under every fault, or honestly unknown, by a server that forgets when it crashes', async () => {
    const heard: Record<string, number> = {};
    for (let seed = 1; seed <= 16; seed++) {
      const warehouse = new Warehouse();
      const ttlMs = seed % 2 === 0 ? 5_000 : 60_000;
      const workload = keyedOrders({ warehouse, ttlMs, storeFor: (clock) => new MemoryIdempotencyStore({ clock }) });
      const outcome = await runSeed(seed, { workload, kinds: noRollback });
      expect(outcome.violation, `seed ${seed}`).toBeUndefined();
      expect([...warehouse.deliveries.values()].filter((count) => count > 1)).toEqual([]);
      for (const [code, count] of Object.entries(warehouse.heard)) heard[code] = (heard[code] ?? 0) + count;
    }
    // Otherwise the seeds show nothing.
    expect(heard['ok']).toBeGreaterThan(1_000);
    expect(heard['OUTCOME_UNKNOWN']).toBeGreaterThan(50);
    expect(heard['IDEMPOTENCY_UNSUPPORTED']).toBeGreaterThan(0);
  }, 60_000);

  test('are delivered once by a server whose outcomes are on a disk, which a crash does not touch', async () => {
    const heard: Record<string, number> = {};
    for (let seed = 101; seed <= 108; seed++) {
      const warehouse = new Warehouse();
      const disk: Database.Database = new Database(':memory:');
      const storeFor: Settings['storeFor'] = (clock) => new SqliteIdempotencyStore(disk, { clock });
      const kinds: FaultClass[] = [...noRollback, 'clientRollback'];
      const outcome = await runSeed(seed, { workload: keyedOrders({ warehouse, ttlMs: 60_000, storeFor }), kinds });
      expect(outcome.violation, `seed ${seed}`).toBeUndefined();
      expect([...warehouse.deliveries.values()].filter((count) => count > 1)).toEqual([]);
      for (const [code, count] of Object.entries(warehouse.heard)) heard[code] = (heard[code] ?? 0) + count;
    }
    expect(heard['ok']).toBeGreaterThan(1_000);
  }, 60_000);

  test('without their keys are delivered twice: the faults are such that it matters', async () => {
    let twice = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const warehouse = new Warehouse();
      const storeFor: Settings['storeFor'] = (clock) => new MemoryIdempotencyStore({ clock });
      const workload = keyedOrders({ warehouse, ttlMs: 60_000, storeFor, forgetsKeys: true });
      const outcome = await runSeed(seed, { workload, kinds: noRollback });
      if (outcome.violation?.invariant === 'orders') twice += 1;
    }
    expect(twice).toBeGreaterThan(2);
  }, 60_000);
});
