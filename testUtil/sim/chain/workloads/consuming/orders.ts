import { Type } from '@sinclair/typebox';
import { once } from '../../../../../consume/once.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { Procedure } from '../../../../../router/procedures.ts';
import { Ok } from '../../../../../router/result.ts';
import { createServiceSchema } from '../../../../../router/services.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { DiskTable } from '../../disk.ts';
import { DiskCheckpointStore } from '../../diskCheckpointStore.ts';

const SCOPE = 'orders';
const CALL_TIMEOUT_MS = 1_500;

/** How often each order was placed, on the disk of whoever places them. */
export function placedOn({ disk }: Pick<ChainContext, 'disk'>): DiskTable<number> {
  return disk.table<number>('placed');
}

/** Places orders, each once, however often it is delivered. */
export function orderServices({ disk, clock, fail }: ChainContext) {
  const store = new DiskCheckpointStore(disk);
  const placed = placedOn({ disk });
  const orders = createServiceSchema().define({
    place: Procedure.rpc({
      requestInit: Type.Object({ id: Type.String() }),
      responseData: Type.Object({ count: Type.Integer() }),
      async handler({ reqInit: { id } }) {
        const effect = (): number => {
          const count = (placed.get(id) ?? 0) + 1;
          placed.set(id, count);
          if (count > 1) fail('14', `order ${id} was placed ${count} times`);
          return count;
        };
        return Ok({ count: once(store, SCOPE, id, effect, { clock }).result });
      },
    }),
  });
  return { orders };
}

export type OrderServices = ReturnType<typeof orderServices>;

/** The orders of a leaf: written down first, then delivered until somebody has confirmed them, also after a restart. */
export class OrderBook {
  readonly #client: Client<OrderServices>;
  readonly #open: DiskTable<true>;
  readonly #confirmed: DiskTable<true>;
  readonly #context: ChainContext;
  #isDelivering = false;

  constructor(context: ChainContext, client: Client<OrderServices>) {
    this.#context = context;
    this.#client = client;
    this.#open = context.disk.table('open orders');
    this.#confirmed = context.disk.table('confirmed orders');
  }

  write(): void {
    this.#open.set(`${this.#context.name} ${this.#context.nextTag()}`, true);
  }

  /** Delivers what is open, several at a time. */
  async deliver(): Promise<void> {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    const waiting = this.#open.entries().slice(0, 5);
    await Promise.all(waiting.map(([id]) => this.#place(String(id))));
    this.#isDelivering = false;
  }

  get confirmed(): string[] {
    return this.#confirmed.entries().map(([id]) => String(id));
  }

  get openCount(): number {
    return this.#open.entries().length;
  }

  async #place(id: string): Promise<void> {
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    // Twice at once, as a queue does that delivers at least once.
    const results = await Promise.all([
      this.#client.orders.place.rpc({ id }, options),
      this.#client.orders.place.rpc({ id }, options),
    ]);
    if (!results.some(({ ok }) => ok)) return;
    this.#context.disk.transaction(() => {
      this.#open.delete(id);
      this.#confirmed.set(id, true);
    });
  }
}
