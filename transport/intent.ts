import type { CancelTimer, Clock } from './clock.ts';
import { type BackoffOptions, RetryBudget } from './retryBudget.ts';

/** The intent to be connected to one peer, with its backoff. It outlives sessions. */
export class Intent {
  readonly to: string;
  /** False until somebody connects, and after the client gave up. */
  wanted = false;
  readonly #clock: Clock;
  readonly #options: BackoffOptions;
  readonly #budget: RetryBudget;
  #nextDialAt: number;
  #cancelRedial: CancelTimer = () => undefined;

  constructor(to: string, options: BackoffOptions, clock: Clock) {
    this.to = to;
    this.#clock = clock;
    this.#options = options;
    this.#budget = new RetryBudget(options, () => clock.random());
    this.#nextDialAt = clock.now();
  }

  /** Milliseconds until the next dial may begin. */
  get waitMs(): number {
    return Math.max(0, this.#nextDialAt - this.#clock.now());
  }

  /** Failed dials since a connection last held. */
  get failures(): number {
    return this.#budget.failures;
  }

  get hasBudget(): boolean {
    return this.#budget.hasBudget;
  }

  /** A dial or a handshake failed. */
  failed(): void {
    this.#nextDialAt = this.#clock.now() + this.#budget.fail();
  }

  /**
   * A connection that worked is gone. One jitter, so that the clients of a server that restarts do not all come at
   * once; more only where dials have failed since a connection last held.
   */
  dropped(): void {
    const backoffMs =
      this.#budget.failures === 0 ? this.#clock.random() * this.#options.maxJitterMs : this.#budget.currentBackoffMs();
    this.#nextDialAt = this.#clock.now() + backoffMs;
  }

  /** A connection has held for long enough, or the application starts over. */
  settled(): void {
    this.#budget.reset();
  }

  /** The next dial may begin now. */
  endBackoff(): void {
    this.#nextDialAt = this.#clock.now();
  }

  /** Calls `dial` when the backoff is over, for as long as there is no session that waits for it. */
  redialLater(dial: () => void): void {
    this.#cancelRedial();
    this.#cancelRedial = this.#clock.after(this.waitMs, dial);
  }

  cancelRedial(): void {
    this.#cancelRedial();
  }
}
