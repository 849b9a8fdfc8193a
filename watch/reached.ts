import type { CancelTimer, Clock, HoldfastError } from '../router/index.ts';
import { InvalidArgumentError, OtherEpochError, ReachedAbortedError, ReachedTimeoutError } from './errors.ts';
import { hasReached } from './hasReached.ts';
import { isPosition } from './isPosition.ts';
import type { Position } from './position.ts';

/** How long to wait for a position. */
export interface ReachedOptions {
  /** Rejects with {@link ReachedTimeoutError} after so many milliseconds; 30 000 by default. */
  timeoutMs?: number | undefined;
  /** Rejects with {@link ReachedAbortedError}. */
  signal?: AbortSignal | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;

interface Waiter {
  readonly wanted: Position;
  resolve(): void;
  reject(error: HoldfastError): void;
}

/** Those who wait until a position has been seen. */
export class ReachedWaiters {
  readonly #clock: Clock;
  /** Waiters for the epoch that is seen lie here, the furthest first, so that an event looks at those it releases only. */
  #ordered: Waiter[] = [];
  /** Waiters for an epoch that has not been seen yet. */
  #elsewhere: Waiter[] = [];
  #seen: Position | undefined;
  #ended: HoldfastError | undefined;

  constructor(clock: Clock, seen?: Position | undefined) {
    this.#clock = clock;
    this.#seen = seen;
  }

  get size(): number {
    return this.#ordered.length + this.#elsewhere.length;
  }

  /** Waits. An epoch other than the one that is seen may be the next: see {@link moveTo}. */
  wait(wanted: Position, options: ReachedOptions = {}): Promise<void> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    if (!(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
      const got = `${timeoutMs} (${typeof timeoutMs})`;
      return Promise.reject(new InvalidArgumentError(`expected timeoutMs of 0 or more, got ${got}`));
    }
    if (!isPosition(wanted)) return Promise.reject(noPosition(wanted));
    if (hasReached(this.#seen, wanted)) return Promise.resolve();
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (signal?.aborted === true) return Promise.reject(new ReachedAbortedError(wanted, signal.reason));
    return new Promise((resolve, reject) => {
      let cancel: CancelTimer | undefined;
      const onAbort = (): void => giveUp(new ReachedAbortedError(wanted, signal?.reason));
      const release = (): void => {
        cancel?.();
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        wanted,
        resolve: () => {
          release();
          resolve();
        },
        reject: (error) => {
          release();
          reject(error);
        },
      };
      const giveUp = (error: HoldfastError): void => {
        this.#remove(waiter);
        waiter.reject(error);
      };
      if (timeoutMs !== Number.POSITIVE_INFINITY)
        cancel = this.#clock.after(timeoutMs, () => giveUp(new ReachedTimeoutError(wanted, this.#seen, timeoutMs)));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#add(waiter);
    });
  }

  /** Everything up to a position has been seen. If its epoch is a new one, nobody will ever see the rest of the last. */
  moveTo(seen: Position): void {
    const last = this.#seen;
    this.#seen = seen;
    if (last?.epoch !== seen.epoch) {
      const [left, elsewhere] = [this.#ordered, this.#elsewhere];
      this.#ordered = [];
      this.#elsewhere = [];
      for (const waiter of elsewhere) this.#add(waiter);
      for (const waiter of left) waiter.reject(new OtherEpochError(waiter.wanted, seen));
    }
    for (let next = this.#ordered.at(-1); next !== undefined; next = this.#ordered.at(-1)) {
      if (next.wanted.offset > seen.offset) return;
      this.#ordered.pop();
      next.resolve();
    }
  }

  /** Nothing more will be seen: rejects all, and those who come later. */
  end(error: HoldfastError): void {
    this.#ended ??= error;
    const waiters = [...this.#ordered, ...this.#elsewhere];
    this.#ordered = [];
    this.#elsewhere = [];
    for (const waiter of waiters) waiter.reject(error);
  }

  #add(waiter: Waiter): void {
    if (waiter.wanted.epoch !== this.#seen?.epoch) {
      this.#elsewhere.push(waiter);
      return;
    }
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ordered[middle]?.wanted.offset ?? 0) > waiter.wanted.offset) low = middle + 1;
      else high = middle;
    }
    this.#ordered.splice(low, 0, waiter);
  }

  #remove(waiter: Waiter): void {
    for (const list of [this.#ordered, this.#elsewhere]) {
      const at = list.indexOf(waiter);
      if (at >= 0) list.splice(at, 1);
    }
  }
}

/** Types would not let it pass; whoever waits for what is none would wait for ever. */
export function noPosition(value: unknown): InvalidArgumentError {
  const shown =
    typeof value === 'object' && value !== null ? `an object with ${Object.keys(value).join(', ')}` : String(value);
  return new InvalidArgumentError(`expected a position, { epoch, offset }, got ${shown}`);
}
