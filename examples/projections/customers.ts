import { CallError, type Client, UNEXPECTED_DISCONNECT_CODE } from 'holdfast';
import type { Position } from 'holdfast/watch';
import type { OrderEvent } from './orders.ts';
import type { Services } from './services.ts';

const names = ['ada', 'ben', 'cleo', 'dora'];

/** Customers that order, pay and change their minds, one command after another, whatever becomes of the shop. */
export class Customers {
  /** Every event that a command has brought about, in the order of the log. */
  readonly done: OrderEvent[] = [];
  /** Commands that were sent again for want of an answer, and those of them that had been carried out already. */
  repeated = 0;
  foundDone = 0;
  last: Position | undefined;
  readonly #client: Client<Services>;
  readonly #wishes: OrderEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #orders = 0;
  readonly #signal: AbortSignal;
  #isOpen = true;

  /** @param signal gives everything up */
  constructor(client: Client<Services>, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  /** Goes on until {@link goHome}. */
  async shop(): Promise<void> {
    while (this.#isOpen && !this.#signal.aborted) {
      const wishes = this.#wishes.length > 0 ? this.#wishes.splice(0) : this.#nextWishes();
      for (const event of wishes) await this.#command(event);
    }
  }

  goHome(): void {
    this.#isOpen = false;
  }

  /** A present: somebody pays nothing for it. Resolves with where it is in the log. */
  async present(customer: string): Promise<number> {
    const order = { order: `present-${customer}`, customer, cents: 0 };
    this.#wishes.push({ type: 'placed', ...order }, { type: 'paid', ...order });
    await this.until(() => this.done.some((event) => event.type === 'paid' && event.order === order.order));
    return this.done.findIndex((event) => event.type === 'paid' && event.order === order.order) + 1;
  }

  /** Resolves after the command that makes it so. */
  until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
    });
  }

  /** Resolves after so many further commands. */
  more(commands: number): Promise<void> {
    const enough = this.done.length + commands;
    return this.until(() => this.done.length >= enough);
  }

  #nextWishes(): OrderEvent[] {
    const n = ++this.#orders;
    const order = { order: `order-${n}`, customer: names[n % names.length] ?? 'ada', cents: 199 + ((n * 37) % 1_000) };
    if (n % 10 === 0) return [{ type: 'placed', ...order }]; // and not heard of again
    return [
      { type: 'placed', ...order },
      { type: n % 7 === 0 ? 'cancelled' : 'paid', ...order },
    ];
  }

  async #command(event: OrderEvent): Promise<void> {
    const id = `${event.type} ${event.order}`;
    for (let isFirst = true; ; isFirst = false) {
      if (!isFirst) this.repeated += 1;
      const result = await this.#client.shop.command.rpc({ id, event }, { signal: this.#signal });
      if (result.ok) {
        if (!result.payload.isNew) this.foundDone += 1;
        this.last = result.payload.position;
        break;
      }
      if (this.#signal.aborted) return;
      // Lost with the session, nobody knows whether it was carried out: again. Anything else would come again, too.
      if (result.payload.code !== UNEXPECTED_DISCONNECT_CODE) throw new CallError(result.payload);
    }
    this.done.push(event);
    for (const look of [...this.#listeners]) look();
  }
}
