import { type Clock, systemClock } from '../router/index.ts';
import { InvalidArgumentError } from '../watch/errors.ts';
import { checkShape } from '../watch/shape.ts';
import { type CacheStore, MemoryCacheStore } from './store.ts';

/** Options of every cache. */
export interface CacheOptions<V> {
  /** Where values are kept: a `Map` or anything like one; by default the last {@link maxEntries} used, in memory. */
  store?: CacheStore<V> | undefined;
  /** How many values the default store keeps; 10 000 by default. A store of the user's is its own bound. */
  maxEntries?: number | undefined;
  /** A fetch that takes longer has failed; 30 000 by default. */
  fetchTimeoutMs?: number | undefined;
  /**
   * At most so many fetches at once, and as many requests for an invalidation; those beyond it wait their turn. 256 by
   * default: a session has room for 1 000 calls.
   */
  maxConcurrentFetches?: number | undefined;
  /** At most so many that are under way or wait their turn; 10 000 by default. One more rejects with {@link CacheBusyError}. */
  maxFetches?: number | undefined;
  /** At most so many callers that wait for anything; 10 000 by default. One more rejects with {@link CacheBusyError}. */
  maxWaiting?: number | undefined;
  clock?: Clock | undefined;
}

/** {@link CacheOptions} with their defaults. */
export interface SettledOptions<V> {
  readonly store: CacheStore<V>;
  readonly fetchTimeoutMs: number;
  readonly maxConcurrentFetches: number;
  readonly maxFetches: number;
  readonly maxWaiting: number;
  readonly clock: Clock;
}

const STORE_METHODS = ['get', 'set', 'delete', 'clear'];

/** @throws {InvalidArgumentError} */
export function positive(name: string, value: number): number {
  if (!(value > 0)) throw new InvalidArgumentError(`expected ${name} of more than 0, got ${value}`);
  return value;
}

/** @throws {InvalidArgumentError} for options that contradict each other, or that are out of range */
export function settleOptions<V>(options: CacheOptions<V>): SettledOptions<V> {
  const { store, maxEntries, fetchTimeoutMs = 30_000, maxWaiting = 10_000 } = options;
  const { maxConcurrentFetches = 256, maxFetches = 10_000 } = options;
  if (store !== undefined && maxEntries !== undefined)
    throw new InvalidArgumentError(`expected store or maxEntries, got both: a store of yours is its own bound`);
  if (store !== undefined) checkShape('store to be a Map, or anything like one', store, STORE_METHODS);
  return {
    store: store ?? new MemoryCacheStore<V>(maxEntries ?? 10_000),
    fetchTimeoutMs: positive('fetchTimeoutMs', fetchTimeoutMs),
    maxConcurrentFetches: positive('maxConcurrentFetches', maxConcurrentFetches),
    maxFetches: positive('maxFetches', maxFetches),
    maxWaiting: positive('maxWaiting', maxWaiting),
    clock: options.clock ?? systemClock,
  };
}
