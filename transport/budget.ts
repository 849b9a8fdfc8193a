import { InvalidOptionsError } from './errors.ts';

/** Of the whole, what is there for whoever comes first; the rest is for those who hold little. */
const POOL = 1 / 2;
/** What a session may hold when the pool is used up: one of so many parts of the whole, divided by the sessions that hold anything, */
const PARTS = 8;
/** and never more than this. */
const MOST_FAIR_BYTES = 64 * 1024;
/** The same for messages that end calls: the other side must hear of them, so they may go a little further. */
const POOL_FOR_ENDS = 17 / 32;

/**
 * What all sessions of a process may hold together: messages that peers have not confirmed, and messages that nobody has
 * read yet. Half of it is for whoever comes first. When that is used up a session may still hold its fair share, so that
 * sessions which hold much stop growing and those which hold little go on; the whole is never exceeded.
 */
export class BufferBudget {
  readonly maxBytes: number;
  #held = 0;
  #holders = 0;

  /** @throws {InvalidOptionsError} */
  constructor(maxBytes: number) {
    if (!(maxBytes >= 1)) throw new InvalidOptionsError(`maxBytes: expected a number ≥ 1, got ${String(maxBytes)}`);
    this.maxBytes = maxBytes;
  }

  /** Held now, all sessions together. */
  get heldBytes(): number {
    return this.#held;
  }

  /** What is left for whoever comes first; never below 0. */
  get freeBytes(): number {
    return Math.max(0, this.maxBytes * POOL - this.#held);
  }

  /** How much more a session may hold that holds so much now, in all. */
  moreFor(held: number): number {
    return this.#more(POOL, this.#fairBytes - held);
  }

  /** How much more it may hold of what says that calls have ended. */
  moreForEnds(held: number): number {
    return this.#more(POOL_FOR_ENDS, this.#fairBytes - held);
  }

  #more(share: number, own: number): number {
    return Math.max(0, Math.min(this.maxBytes - this.#held, Math.max(this.maxBytes * share - this.#held, own)));
  }

  get #fairBytes(): number {
    return Math.min(MOST_FAIR_BYTES, this.maxBytes / (PARTS * Math.max(1, this.#holders)));
  }

  /** @internal What a session holds has changed. */
  changed(from: number, to: number): void {
    this.#held += to - from;
    if (from === 0 && to > 0) this.#holders += 1;
    if (from > 0 && to === 0) this.#holders -= 1;
  }
}

const DEFAULT_BYTES = 256 * 1024 * 1024;

/** The budget of every transport that is not given another: 256 MiB. */
export const processBudget: BufferBudget = new BufferBudget(DEFAULT_BYTES);
