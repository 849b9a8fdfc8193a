import { ConsumeError, StoreError } from './errors.ts';
import { assertLease } from './lease.ts';
import type { EngineSettings } from './options.ts';
import { type ConsumerFailure, type ConsumerRecord, failed, failureOf } from './record.ts';
import { backoffMs } from './retry.ts';
import type { Lease } from './store.ts';
import { refusePromise } from './transaction.ts';

/** The store as a run sees it: whatever it commits, it commits only while its lease is still its own. */
export class FencedStore<E, Tx> {
  readonly settings: EngineSettings<E, Tx>;
  readonly #lease: Lease;

  constructor(settings: EngineSettings<E, Tx>, lease: Lease) {
    this.settings = settings;
    this.#lease = lease;
  }

  /** @throws {LeaseLostError|StoreError} nothing was committed */
  commit<T>(fn: (tx: Tx) => T): T {
    const { store, name } = this.settings;
    try {
      return store.transaction((tx) => {
        assertLease(store, name, this.#lease);
        return fn(tx);
      }, 'own');
    } catch (error) {
      throw error instanceof ConsumeError ? error : new StoreError('committing', error);
    }
  }

  /**
   * Within `commit`: what the application does, with a savepoint of its own, so that of what failed nothing is left.
   * @returns what it failed with
   * @throws {StoreError} if it is the store that failed
   */
  attempt(what: string, fn: () => unknown): { readonly error: unknown } | undefined {
    let fault: { readonly error: unknown } | undefined;
    try {
      this.settings.store.transaction(() => {
        try {
          refusePromise(fn(), what);
        } catch (error) {
          fault = { error };
          throw error;
        }
      });
    } catch (error) {
      // A StoreError that the application's code threw, maybe of another store, is its failure, if it could be undone.
      if (fault === undefined || (error instanceof StoreError && error !== fault.error)) throw error;
    }
    return fault;
  }

  load(id: string): ConsumerRecord | undefined {
    return this.settings.store.load(this.settings.name, id);
  }

  /** Within `commit`. @throws {StoreError} if somebody else has saved it meanwhile */
  save(record: ConsumerRecord): void {
    if (this.settings.store.save(this.settings.name, record)) return;
    throw new StoreError(`saving '${record.id}'`, new Error(`its revision is no longer ${record.revision}`));
  }

  /** Within `commit`: the record of a consumer whose handler or reset failed, to be tried again later. */
  saveFailed(
    record: ConsumerRecord,
    code: ConsumerFailure['code'],
    error: unknown,
    at: ConsumerRecord['position'],
  ): void {
    const now = this.settings.clock.wallNow();
    const retryAt = code === 'GAP' ? undefined : now + backoffMs(this.settings, record.attempt + 1);
    this.save(failed(record, failureOf(code, error, now, at, retryAt)));
  }
}
