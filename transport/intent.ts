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
  #hasHeld = false;
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

  /**
   * The same for a session that dies at `graceDeadline`: it does not sleep through the time it has left. At most half of
   * that is waited, so that tries come closer together towards the end.
   */
  waitMsWithin(graceDeadline: number): number {
    const half = (graceDeadline - this.#clock.now()) / 2;
    return Math.min(this.waitMs, Math.max(this.#options.baseIntervalMs, half));
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

  /** The server wants nothing of this client. Who connects again all the same, and is refused again, is not let dial in a loop. */
  refused(): void {
    this.wanted = false;
    this.failed();
  }

  /** A handshake succeeded; whether the connection holds is another question. */
  connected(): void {
    this.#hasHeld = false;
  }

  /**
   * A connection that worked is gone. One jitter, so that the clients of a server that restarts do not all come at
   * once. One that did not hold counts as a failed dial: a server that accepts and drops is not dialled in a loop.
   */
  dropped(): void {
    if (!this.#hasHeld) return this.failed();
    this.forgotten();
  }

  /** The server answers, and knows a session that worked no more: it has begun anew, and so may we. One jitter, as above. */
  forgotten(): void {
    this.#nextDialAt = this.#clock.now() + this.#clock.random() * this.#options.maxJitterMs;
  }

  /** A connection has held, and the server was heard on it: it is believed in. */
  settled(): void {
    this.#hasHeld = true;
    this.#budget.reset();
  }

  /** The application starts over after the client gave up. */
  startOver(): void {
    this.#budget.reset();
  }

  /** The network or the user is back: the next dial may begin now, and what failed before says nothing about it. */
  endBackoff(): void {
    this.#budget.reset();
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
