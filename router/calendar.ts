import type { Clock } from '../transport/clock.ts';

/** Wall time minus monotonic time, as it was seen for a while. */
interface Offsets {
  least: number;
  most: number;
}

/**
 * Wall time for expiry dates, by somebody who may set the clock at any moment. Monotonic time tells how long ago anything
 * was, and what wall time was then: of all that the two said of each other lately, judging goes by what makes it earliest
 * and dating by what makes it latest. So what is kept for some time is kept for that long, or longer, never shorter.
 */
export class Calendar {
  readonly #clock: Clock;
  readonly #rememberMs: number;
  #since: number;
  #current: Offsets;
  #previous: Offsets;

  /** @param rememberMs for how long what was seen is held against the clock, at least: as long as anything is kept */
  constructor(clock: Clock, rememberMs: number) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
    this.#since = clock.now();
    const offset = clock.wallNow() - this.#since;
    this.#current = { least: offset, most: offset };
    this.#previous = this.#current;
  }

  /** Now, for judging what has expired. Milliseconds since the epoch. */
  get earliest(): number {
    const now = this.#look();
    return now + Math.min(this.#current.least, this.#previous.least);
  }

  /** Now, for saying when something will expire. Milliseconds since the epoch. */
  get latest(): number {
    const now = this.#look();
    return now + Math.max(this.#current.most, this.#previous.most);
  }

  #look(): number {
    const now = this.#clock.now();
    const offset = this.#clock.wallNow() - now;
    if (now - this.#since >= this.#rememberMs) {
      this.#since = now;
      this.#previous = this.#current;
      this.#current = { least: offset, most: offset };
    }
    this.#current.least = Math.min(this.#current.least, offset);
    this.#current.most = Math.max(this.#current.most, offset);
    return now;
  }
}
