/** How a client spaces its dials. */
export interface BackoffOptions {
  readonly baseIntervalMs: number;
  readonly maxJitterMs: number;
  readonly maxBackoffMs: number;
  readonly attemptBudgetCapacity: number;
}

/**
 * The failed dials to one peer since a connection last held: exponential backoff with jitter and a ceiling. It belongs
 * to the intent to be connected, not to a session: a session that dies offline does not make the next one dial faster.
 */
export class RetryBudget {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Failed dials since the last {@link reset}. */
  get failures(): number {
    return this.#failures;
  }

  /** False once the application's limit is reached. */
  get hasBudget(): boolean {
    return this.#failures < this.#options.attemptBudgetCapacity;
  }

  /** Counts a failure and returns how long to wait, in milliseconds, before the next dial. */
  fail(): number {
    this.#failures += 1;
    return this.currentBackoffMs();
  }

  /** How long to wait, in milliseconds, after as many failures as there were; without one, nothing. */
  currentBackoffMs(): number {
    if (this.#failures === 0) return 0;
    const { baseIntervalMs, maxJitterMs, maxBackoffMs } = this.#options;
    // 2^31 is far above any ceiling; the exponent is capped so that it stays a number.
    const backoff = Math.min(maxBackoffMs, baseIntervalMs * 2 ** Math.min(this.#failures - 1, 31));
    return backoff + this.#random() * maxJitterMs;
  }

  reset(): void {
    this.#failures = 0;
  }
}
