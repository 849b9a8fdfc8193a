import { CallEndedError } from './errors.ts';

/** Who knows what goes on: a server that closes waits for cleanups, too. */
export interface CleanupHost {
  began(): void;
  done(): void;
}

/** Something a handler wants done when its call has ended. */
export type Cleanup = () => unknown;

/**
 * What a handler may hang on the end of its call: a signal and deferred cleanups. Neither exists before it is asked for:
 * an AbortController costs more than the rest of a call's bookkeeping.
 */
export class CallEnd {
  readonly #host: CleanupHost;
  readonly #onCleanupError: (error: unknown) => void;
  /** Why the call has ended. It becomes an error only for a signal: one at every end cost an rpc 21 µs instead of 14. */
  #reason: string | undefined;
  #controller: AbortController | undefined;
  #cleanups: Cleanup[] | undefined;
  #cleaning: Promise<void> | undefined;

  /**
   * @param host is told of the time in which cleanups run, those too that are deferred after the end
   * @param onCleanupError hears what a cleanup throws or rejects with; the others run nevertheless
   */
  constructor(host: CleanupHost, onCleanupError: (error: unknown) => void) {
    this.#host = host;
    this.#onCleanupError = onCleanupError;
  }

  /** Aborted once the call has ended, for any reason; `reason` is a {@link CallEndedError}. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(new CallEndedError(this.#reason));
    }
    return this.#controller.signal;
  }

  /** Runs `cleanup` after the end, before those that were deferred earlier; soon if the end is past. */
  defer(cleanup: Cleanup): void {
    this.#cleanups ??= [];
    this.#cleanups.push(cleanup);
    if (this.#reason !== undefined) this.#runCleanups();
  }

  /** Reached once. The cleanups run after the code that ended the call has run to its own end. */
  reach(reason: string): void {
    this.#reason = reason;
    this.#controller?.abort(new CallEndedError(reason));
    if (this.#cleanups !== undefined) this.#runCleanups();
  }

  #runCleanups(): void {
    this.#host.began();
    this.#cleaning = (this.#cleaning ?? Promise.resolve()).then(async () => {
      for (let cleanup = this.#cleanups?.pop(); cleanup !== undefined; cleanup = this.#cleanups?.pop()) {
        try {
          await cleanup();
        } catch (error) {
          this.#onCleanupError(error);
        }
      }
      this.#host.done();
    });
  }
}
