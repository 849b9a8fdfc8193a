import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import { EngineClosedError, ReachedTimeoutError } from './errors.ts';
import type { EngineSettings } from './options.ts';
import type { ConsumerRecord } from './record.ts';

/** What `reached` waits for, and for how long. */
export interface ReachedOptions {
  /** Whom to wait for. Default: every consumer of the engine but those that are `finished`. */
  readonly ids?: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly position: Position;
  readonly ids: readonly string[] | undefined;
  settle(error?: unknown): void;
}

/** Those that wait until consumers have come to a position, in this process or in another one on the same store. */
export class Waiters<E, Tx> {
  readonly #settings: EngineSettings<E, Tx>;
  readonly #list: () => readonly ConsumerRecord[];
  #waiters: Waiter[] = [];
  #cancelPoll: (() => void) | undefined;

  constructor(settings: EngineSettings<E, Tx>, list: () => readonly ConsumerRecord[]) {
    this.#settings = settings;
    this.#list = list;
  }

  get count(): number {
    return this.#waiters.length;
  }

  add(position: Position, { ids, timeoutMs, signal }: ReachedOptions): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.settle(signal?.reason);
      const cancelTimer = this.#settings.clock.after(timeoutMs, () => waiter.settle(this.#timeout(waiter, timeoutMs)));
      signal?.addEventListener('abort', onAbort);
      const waiter: Waiter = {
        position,
        ids,
        settle: (error) => {
          cancelTimer();
          signal?.removeEventListener('abort', onAbort);
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          if (this.#waiters.length === 0) this.#stopPolling();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.push(waiter);
      // Another process may be the one that handles the events.
      this.#cancelPoll ??= this.#settings.clock.every(this.#settings.pollMs, () => this.check());
      this.check();
    });
  }

  /** Lets go who has got there. */
  check(): void {
    if (this.#waiters.length === 0) return;
    let records: readonly ConsumerRecord[];
    try {
      records = this.#list();
    } catch (error) {
      // Whoever waits goes on waiting; a store that stays broken makes them time out.
      this.#settings.onError({ kind: 'run', error });
      return;
    }
    for (const waiter of this.#waiters) if (this.#lagging(waiter, records).length === 0) waiter.settle();
  }

  close(): void {
    for (const waiter of this.#waiters) waiter.settle(new EngineClosedError(this.#settings.name));
  }

  #lagging({ ids, position }: Waiter, records: readonly ConsumerRecord[]): string[] {
    const wanted = ids ?? [...this.#settings.consumers.keys()];
    return wanted.flatMap((id) => {
      const record = records.find((other) => other.id === id);
      if (hasReached(record?.position, position)) return [];
      if (ids === undefined && record?.status === 'finished') return [];
      return [`'${id}' (${record?.status ?? 'new'})`];
    });
  }

  #timeout(waiter: Waiter, timeoutMs: number): unknown {
    try {
      return new ReachedTimeoutError(waiter.position, timeoutMs, this.#lagging(waiter, this.#list()));
    } catch (error) {
      return error;
    }
  }

  #stopPolling(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
  }
}
