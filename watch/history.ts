import type { Positioned } from './source.ts';

const COMPACT_FROM = 1024;

/** Consecutive positions and events in memory, dropped from the front: an array with a head index. */
export class History<E> {
  #items: (Positioned<E> | undefined)[] = [];
  #times: number[] = [];
  #weights: number[] = [];
  #bytes = 0;
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  /**
   * @param at milliseconds since 1970
   * @param bytes what it weighs, where that is of interest
   */
  push(item: Positioned<E>, at: number, bytes = 0): void {
    this.#items.push(item);
    this.#times.push(at);
    this.#weights.push(bytes);
    this.#bytes += bytes;
  }

  /** Events from the `index`-th that is held. */
  slice(index: number, limit: number): Positioned<E>[] {
    const from = this.#first + index;
    const to = Math.min(this.#items.length, from + limit);
    const events: Positioned<E>[] = [];
    for (let i = from; i < to; i++) {
      const item = this.#items[i];
      if (item !== undefined) events.push(item);
    }
    return events;
  }

  /** The `index`-th event that is held; a negative one counts from the newest. */
  at(index: number): Positioned<E> | undefined {
    return this.#items[index < 0 ? this.#items.length + index : this.#first + index];
  }

  /**
   * Drops the oldest until at most `count` are left, none of them from before `since`, and together no more than `maxBytes`;
   * but the newest may weigh more, for it was not told yet.
   * @returns the last that was dropped
   */
  trim(count: number, since: number, maxBytes = Number.POSITIVE_INFINITY): Positioned<E> | undefined {
    let dropped: Positioned<E> | undefined;
    while (this.size > 0 && (this.size > count || this.#isOlder(since) || (this.#bytes > maxBytes && this.size > 1))) {
      dropped = this.#items[this.#first];
      this.#bytes -= this.#weights[this.#first] ?? 0;
      this.#items[this.#first] = undefined; // an event that was dropped must not live on in the array
      this.#first += 1;
    }
    if (this.#first >= COMPACT_FROM && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#times = this.#times.slice(this.#first);
      this.#weights = this.#weights.slice(this.#first);
      this.#first = 0;
    }
    return dropped;
  }

  clear(): void {
    this.#items = [];
    this.#times = [];
    this.#weights = [];
    this.#bytes = 0;
    this.#first = 0;
  }

  #isOlder(since: number): boolean {
    return (this.#times[this.#first] ?? 0) < since;
  }
}
