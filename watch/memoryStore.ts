import { type Clock, systemClock } from '../router/index.ts';
import { History } from './history.ts';
import { keptWeight } from './keptWeight.ts';
import type { Position } from './position.ts';
import type { Positioned } from './source.ts';
import type { Extent, SettledKeep, TopicStore } from './store.ts';

/**
 * A history that ends with the process: each store is an epoch of its own, so that after a restart nobody takes the new
 * history for the old one. It holds the events themselves: whoever publishes one changes it no more.
 */
export class MemoryTopicStore implements TopicStore {
  readonly #epoch: string;
  readonly #history = new History<unknown>();
  #floor = 0;
  #head = 0;

  constructor(options: { clock?: Clock | undefined } = {}) {
    this.#epoch = (options.clock ?? systemClock).id();
  }

  extent(): Extent {
    return { epoch: this.#epoch, floor: this.#floor, head: this.#head };
  }

  append(events: readonly unknown[], at: number, keep: SettledKeep): Position {
    for (const event of events) {
      this.#head += 1;
      this.#history.push({ position: { epoch: this.#epoch, offset: this.#head }, event }, at, keptWeight(event, keep));
    }
    this.trim(at, keep);
    return { epoch: this.#epoch, offset: this.#head };
  }

  trim(at: number, keep: SettledKeep): void {
    const dropped = this.#history.trim(keep.events, at - keep.ageMs, keep.bytes);
    if (dropped !== undefined) this.#floor = dropped.position.offset;
  }

  read(after: number, limit: number): readonly Positioned<unknown>[] {
    return this.#history.slice(after - this.#floor, limit);
  }

  isUnsettled(): boolean {
    return false;
  }
}
