import type { CancelTimer, Clock } from '../router/index.ts';
import { Backoff } from './backoff.ts';
import { LoadTimeoutError } from './errors.ts';

/** Why a load is made: a first one, something was heard, something was missed, for safety's sake, or the last one failed. */
export type LoadReason = 'first' | 'event' | 'reset' | 'resync' | 'retry';

/** What a load is told. */
export interface LoadContext {
  /** Aborts when the result is of no use any more. */
  readonly signal: AbortSignal;
  readonly reason: LoadReason;
}

/** What a loader tells. */
export interface LoaderHandler<T> {
  /** One begins just now. */
  onLoading(): void;
  /** @throws what makes the result unusable: the load counts as failed, and is made again after a while */
  onLoaded(result: T): void;
  onLoadFailed(error: unknown): void;
}

interface Running {
  readonly controller: AbortController;
  cancelTimeout: CancelTimer;
}

/** Makes loads, one at a time: any number of wishes during one make one more. */
export class Loader<T> {
  readonly #load: (context: LoadContext) => T | Promise<T>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #handler: LoaderHandler<T>;
  readonly #backoff: Backoff;
  #owed: LoadReason | undefined;
  #running: Running | undefined;
  /** Nothing is begun while nobody would tell what changes meanwhile. */
  #isHeld = true;
  #isStopped = false;

  constructor(
    load: (context: LoadContext) => T | Promise<T>,
    timeoutMs: number,
    clock: Clock,
    handler: LoaderHandler<T>,
  ) {
    this.#load = load;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#handler = handler;
    this.#backoff = new Backoff(clock);
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** A load is owed: one that begins after now. */
  get isOwed(): boolean {
    return this.#owed !== undefined;
  }

  want(reason: LoadReason): void {
    // The first reason stands for all, but that something was missed outweighs a wish for safety.
    if (this.#owed === undefined || this.#owed === 'resync') this.#owed = reason;
    this.#begin();
  }

  /** What runs is of no use: its result is dropped, and another is made. */
  restart(reason: LoadReason): void {
    this.#owed = reason;
    this.#backoff.reset();
    this.#running?.controller.abort();
    this.#begin();
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#owed = undefined;
    this.#backoff.cancel();
    this.#running?.cancelTimeout();
    this.#running?.controller.abort();
    this.#running = undefined;
  }

  #begin(): void {
    const reason = this.#owed;
    if (reason === undefined || this.#isHeld || this.#isStopped) return;
    if (this.#running !== undefined || this.#backoff.isWaiting) return;
    this.#owed = undefined;
    const controller = new AbortController();
    const cancelTimeout = this.#clock.after(this.#timeoutMs, () => {
      controller.abort();
      this.#end(running, () => this.#failed(new LoadTimeoutError(this.#timeoutMs)));
    });
    const running: Running = { controller, cancelTimeout };
    this.#running = running;
    this.#handler.onLoading();
    void this.#run(running, reason);
  }

  async #run(running: Running, reason: LoadReason): Promise<void> {
    const { signal } = running.controller;
    let result: T;
    try {
      result = await this.#load({ signal, reason });
    } catch (error) {
      return this.#end(running, () => {
        if (!signal.aborted) this.#failed(error);
      });
    }
    this.#end(running, () => {
      if (!signal.aborted) this.#loaded(result);
    });
  }

  #end(running: Running, then: () => void): void {
    if (this.#running !== running) return; // given up before
    running.cancelTimeout();
    this.#running = undefined;
    then();
    this.#begin();
  }

  #loaded(result: T): void {
    try {
      this.#handler.onLoaded(result);
    } catch (error) {
      return this.#failed(error);
    }
    this.#backoff.reset();
  }

  #failed(error: unknown): void {
    if (this.#isStopped) return; // by what has used the result
    this.#owed = 'retry';
    this.#backoff.failed(() => this.#begin());
    this.#handler.onLoadFailed(error);
  }
}
