import { Type } from '@sinclair/typebox';
import type { Infer } from 'holdfast';
import { createTopic, type SqliteDatabase, SqliteTopicStore } from 'holdfast/watch';

const common = { order: Type.String(), customer: Type.String(), cents: Type.Integer({ minimum: 0 }) };

/** What happens to orders: the log is made of these, and everything else follows from it. */
export const OrderEvent = Type.Union([
  Type.Object({ type: Type.Literal('placed'), ...common }),
  Type.Object({ type: Type.Literal('paid'), ...common }),
  Type.Object({ type: Type.Literal('cancelled'), ...common }),
]);
export type OrderEvent = Infer<typeof OrderEvent>;

/** The log: a topic that keeps everything, in SQLite. */
export function openOrders(db: SqliteDatabase) {
  const store = new SqliteTopicStore(db, { name: 'orders' });
  return createTopic({ event: OrderEvent, store, keep: { events: Number.POSITIVE_INFINITY } });
}

/** What the four projections must say, by the log alone: counted once, in memory. */
export class Expected {
  readonly revenue = new Map<string, number>();
  readonly loyalty = new Map<string, number>();
  readonly openOrders = new Map<string, number>();
  readonly labels = new Map<string, number>();

  take({ type, order, customer, cents }: OrderEvent): void {
    if (type === 'placed') return void this.openOrders.set(order, cents);
    this.openOrders.delete(order);
    if (type === 'cancelled') return;
    this.revenue.set(customer, (this.revenue.get(customer) ?? 0) + cents);
    this.loyalty.set(customer, (this.loyalty.get(customer) ?? 0) + Math.floor(cents / 100));
    this.labels.set(order, cents);
  }
}
