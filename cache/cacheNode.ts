import { CallError, type Clock } from '../router/index.ts';
import { InvalidArgumentError } from '../watch/errors.ts';
import type { LocalSource } from '../watch/localSource.ts';
import type { Position } from '../watch/position.ts';
import type { Cache, CacheHop, CacheStats, GetOptions, InvalidateOptions, MirrorMaker, ReadNeed } from './cache.ts';
import { Contents, type Demand } from './contents.ts';
import { CacheBusyError, CacheClosedError, CacheLoopError, CacheUnconfirmedError } from './errors.ts';
import { faultOfKey, MAX_HOPS } from './limits.ts';
import type { CacheState, Line } from './line.ts';
import type { CacheEvent } from './messages.ts';
import type { SettledOptions } from './options.ts';
import { Requests } from './requests.ts';
import { checkTimeout, type WaitOptions, waitFor } from './waitFor.ts';

const DEFAULT_CONFIRM_MS = 30_000;

/** Options of a request for an invalidation. */
export interface RequestOptions extends WaitOptions {
  readonly signal: AbortSignal;
}

/** What the owner and every other hop have in common. */
export abstract class CacheNode<V> implements Cache<V>, CacheHop<V> {
  readonly line: Line;
  protected readonly clock: Clock;
  protected readonly contents: Contents<V>;
  readonly #maxWaiting: number;
  readonly #requests = new Requests();
  #waiting = 0;
  #hits = 0;
  #shared = 0;
  #fetches = 0;
  #invalidations = 0;

  constructor({ store, clock, maxWaiting, ...limits }: SettledOptions<V>, line: Line) {
    this.clock = clock;
    this.line = line;
    this.#maxWaiting = maxWaiting;
    this.contents = new Contents(store, limits, clock);
  }

  get hop(): CacheHop<V> {
    return this;
  }
  get state(): CacheState {
    return this.line.state;
  }
  get position(): Position | undefined {
    return this.contents.applied;
  }
  get stats(): CacheStats {
    const own = { hits: this.#hits, shared: this.#shared, fetches: this.#fetches, invalidations: this.#invalidations };
    return { ...own, ...this.applied, pending: this.#waiting + this.contents.fetches };
  }

  async get(key: string, { fresh = false, ...options }: GetOptions = {}): Promise<V> {
    checkTimeout(options);
    return this.read(key, { fresh, atLeast: undefined, hops: 0 }, () => options);
  }

  async read(key: string, need: ReadNeed, options: () => WaitOptions): Promise<V> {
    this.#check('getting a value', key, need.hops);
    if (!need.fresh && this.mayServe()) {
      const value = this.contents.find(key, need.atLeast);
      if (value !== undefined) {
        this.#hits += 1;
        return value;
      }
    }
    return this.#whileWaiting(() => waitFor(this.#joinOrFetch(key, need), this.clock, options()));
  }

  async request(key: string, hops: number, options: WaitOptions): Promise<Position> {
    this.#check('invalidating', key, hops);
    checkTimeout(options);
    return this.#whileWaiting(() => {
      this.#invalidations += 1;
      return this.#requests.run(options.signal, (signal) => this.requestPosition(key, hops, { ...options, signal }));
    });
  }

  async invalidate(key: string, options: InvalidateOptions = {}): Promise<Position> {
    const { timeoutMs = DEFAULT_CONFIRM_MS, signal } = options;
    const startedAt = this.clock.now();
    const remaining = () => Math.max(0, timeoutMs - (this.clock.now() - startedAt));
    const position = await this.request(key, 0, { timeoutMs, signal });
    try {
      await this.#whileWaiting(() => this.confirmed(position, { timeoutMs: remaining(), signal }));
    } catch (error) {
      throw new CacheUnconfirmedError(key, position, error);
    }
    return position;
  }

  async update<T>(key: string, write: () => T | Promise<T>, options: InvalidateOptions = {}): Promise<T> {
    // What can be known to be impossible now must not come to light after the writing.
    this.#check('updating', key, 0);
    checkTimeout(options);
    let result: T;
    try {
      result = await write();
    } catch (error) {
      await this.invalidate(key, options).catch(() => undefined); // the first error is the one to tell
      throw error;
    }
    await this.invalidate(key, options);
    return result;
  }

  close(): void {
    if (this.line.state === 'closed') return;
    const error = new CacheClosedError('waiting');
    this.line.moveTo('closed', this.clock.now());
    this.#requests.end(error);
    this.end(error);
    this.contents.close(error);
  }

  abstract changes(make: MirrorMaker): LocalSource<CacheEvent>;
  protected abstract get applied(): { readonly drops: number; readonly clears: number };
  /** Whether what is held may be answered with. May refuse to answer at all, by throwing. */
  protected abstract mayServe(): boolean;
  protected abstract fetch(key: string, demand: Demand, hops: number, signal: AbortSignal): V | Promise<V>;
  /**
   * Has the owner publish. Rejects with {@link CacheUnconfirmedError}, or a {@link CallError} if it was refused.
   * @param options its signal aborts at {@link close}, too
   */
  protected abstract requestPosition(key: string, hops: number, options: RequestOptions): Promise<Position>;
  /** Resolves once a position was applied here. */
  protected abstract confirmed(position: Position, options: WaitOptions): Promise<void>;
  /** Ends what is the subclass's own. */
  protected abstract end(error: CacheClosedError): void;

  #joinOrFetch(key: string, { fresh, atLeast, hops }: ReadNeed): Promise<V> {
    if (!fresh) {
      const flying = this.contents.join(key, atLeast);
      if (flying !== undefined) {
        this.#shared += 1;
        return flying;
      }
    }
    const needed = this.contents.demandFor(atLeast);
    const demand = { atLeast: needed.atLeast, fresh: fresh || needed.fresh };
    this.#fetches += 1;
    return this.contents.fetch(key, demand, (signal) => this.fetch(key, demand, hops, signal));
  }

  async #whileWaiting<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#maxWaiting) throw new CacheBusyError('callers waiting', this.#maxWaiting);
    this.#waiting += 1;
    try {
      return await wait();
    } finally {
      this.#waiting -= 1;
    }
  }

  #check(doing: string, key: string, hops: number): void {
    if (this.line.state === 'closed') throw new CacheClosedError(doing);
    const fault = faultOfKey(key);
    if (fault !== undefined) throw new InvalidArgumentError(fault);
    if (hops > MAX_HOPS) throw new CacheLoopError(MAX_HOPS);
  }
}

/** Codes that say that nothing was done, rather than that nobody knows. */
const REFUSALS: readonly string[] = ['NOT_AUTHORIZED', 'INVALID_REQUEST', 'CACHE_LOOP'];

/** What an invalidation that failed further down is called here. */
export function unconfirmed(key: string, error: unknown, { reason }: AbortSignal, position?: Position): Error {
  if (error instanceof CallError && REFUSALS.includes(error.code)) return error;
  return new CacheUnconfirmedError(key, position, reason instanceof CacheClosedError ? reason : error);
}
