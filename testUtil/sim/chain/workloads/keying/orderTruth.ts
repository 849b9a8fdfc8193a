/** An order, under the key of its id. */
export interface Order {
  readonly id: number;
  readonly item: string;
  /** Written down by a leaf, and delivered until its outcome is known, also by the leaf's next process. */
  readonly isBooked: boolean;
}

/** A hop of the chain that has effects. */
export type Hop = 'service' | 'provider';

export const hops: readonly [Hop, Hop] = ['service', 'provider'];

/** The world outside of all processes: what was done there stays done. */
export class OrderTruth {
  readonly #times = new Map<string, number>();
  /** How often each hop began and ended. */
  readonly #lives = new Map<Hop, number>();
  /** Hops whose outcomes lie on a disk that was never restored from a backup. */
  readonly #keeping = new Set<Hop>();

  /**
   * A hop's process begins, or ends in good order.
   * @param isKeeping what its last process knew of calls, this one knows
   */
  lives(hop: Hop, isKeeping: boolean): void {
    this.#lives.set(hop, this.livesOf(hop) + 1);
    if (isKeeping) this.#keeping.add(hop);
    else this.#keeping.delete(hop);
  }

  livesOf(hop: Hop): number {
    return this.#lives.get(hop) ?? 0;
  }

  timesOf(hop: Hop, { id, item }: Order): number {
    return this.#times.get(`${hop} ${id} ${item}`) ?? 0;
  }

  /**
   * A hop does what an order asks for.
   * @returns what is wrong with that, if anything
   */
  happens(hop: Hop, order: Order): string | undefined {
    const { id, item } = order;
    const times = this.timesOf(hop, order) + 1;
    this.#times.set(`${hop} ${id} ${item}`, times);
    const ofKey = (this.#times.get(`${hop} ${id}`) ?? 0) + 1;
    this.#times.set(`${hop} ${id}`, ofKey);
    if (times > 1 && this.#isOnce(hop, order)) return `order ${id} was placed ${times} times`;
    if (ofKey > times && this.#keeping.has(hop)) return `order ${id} was placed for ${item}, and for something else`;
    return undefined;
  }

  /** Who delivers an order again by itself is a first attempt to a hop that has lost its memory. */
  #isOnce(hop: Hop, { isBooked }: Order): boolean {
    return !isBooked || this.#keeping.has(hop);
  }

  /** What is wrong with an outcome that says that an order was placed, if anything. */
  faultOfPlaced(order: Order, item: string): string | undefined {
    if (item !== order.item) return `order ${order.id} for ${order.item} was answered with ${item}`;
    for (const hop of hops) {
      const times = this.timesOf(hop, order);
      if (times < 1 || (times > 1 && this.#isOnce(hop, order)))
        return `order ${order.id} was placed, and ${hop} did so ${times} times`;
    }
    return undefined;
  }
}
