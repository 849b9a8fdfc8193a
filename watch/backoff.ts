import type { CancelTimer, Clock } from '../router/index.ts';

const BASE_MS = 200;
const MAX_MS = 15_000;
/** What held for so long did not fail because it was tried too soon. */
const STABLE_MS = 10_000;

/** Waits between attempts, longer each time, and spread, so that a thousand who lost one server do not come back as one. */
export class Backoff {
  readonly #clock: Clock;
  #failures = 0;
  #cancel: CancelTimer | undefined;
  #succeededAt: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isWaiting(): boolean {
    return this.#cancel !== undefined;
  }

  /** It failed: calls `again` after a while. */
  failed(again: () => void): void {
    if (this.#succeededAt !== undefined && this.#clock.now() - this.#succeededAt >= STABLE_MS) this.#failures = 0;
    this.#succeededAt = undefined;
    const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    this.cancel();
    this.#cancel = this.#clock.after(ceiling * (0.5 + this.#clock.random() / 2), () => {
      this.#cancel = undefined;
      again();
    });
  }

  /** It works. Only if it goes on working the next failure is a first one. */
  succeeded(): void {
    this.#succeededAt ??= this.#clock.now();
  }

  /** It is done: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
    this.#succeededAt = undefined;
    this.cancel();
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
