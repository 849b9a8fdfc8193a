import { Listeners } from '../watch/listeners.ts';

/**
 * Whether a cache hears what is invalidated. `connecting`: not yet, since it began. `live`: it does. `lost`: its
 * subscription, or one further up, has ended, and is being made anew, or cannot be, for its
 * transport was closed. `refused`: its upstream does not permit it, for good.
 */
export type CacheState = 'connecting' | 'live' | 'lost' | 'refused' | 'closed';

/** The state of a cache, and who wants to know of it. */
export class Line {
  readonly #listeners = new Listeners();
  #state: CacheState;
  #lostAt: number | undefined;

  constructor(state: CacheState) {
    this.#state = state;
  }

  get state(): CacheState {
    return this.#state;
  }
  /** When it was lost, on the cache's clock. */
  get lostAt(): number | undefined {
    return this.#lostAt;
  }
  get listeners(): number {
    return this.#listeners.size;
  }

  /** @returns what ends it */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  moveTo(state: CacheState, now: number): void {
    if (this.#state === state || this.#state === 'closed') return;
    if (state === 'lost' && this.#state === 'connecting') return; // it was never there
    this.#lostAt = state === 'lost' ? now : undefined;
    this.#state = state;
    this.#listeners.tell();
  }
}
