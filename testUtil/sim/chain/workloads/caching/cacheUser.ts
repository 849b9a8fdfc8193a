import type { Cache } from '../../../../../cache/cache.ts';
import { CallError } from '../../../../../router/errors.ts';
import { HoldfastError } from '../../../../../transport/errors.ts';
import { Random } from '../../../engine/random.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import { cacheKeys, coldKeys, hotKeys, type Truth } from './truth.ts';

/** What is cached: each write has a version of its own, and later ones have higher. */
export interface Cached {
  version: number;
}

const MAX_GAP_MS = 250;
const MAX_PENDING = 8;
/** Of what is done, so much concerns a cold key. */
const COLD = 0.3;
/** How often everybody reads everything when there is nothing else to do. */
const REST_READ_MS = 2_000;
const GET_ERRORS = [
  ...['UNEXPECTED_DISCONNECT', 'CANCEL', 'DEADLINE_EXCEEDED', 'SESSION_BUFFER_FULL'],
  ...['CACHE_LOST', 'CACHE_CLOSED'],
];
const INVALIDATE_ERRORS = ['CACHE_UNCONFIRMED', 'CACHE_CLOSED'];

function codeOf(error: unknown): string {
  return error instanceof CallError || error instanceof HoldfastError ? error.code : String(error);
}

/** How a program of the chain uses its cache. */
export interface CacheUserOptions {
  readonly cache: Cache<Cached>;
  readonly truth: Truth;
  /** Caches between this one and the owner, both included. */
  readonly path: readonly string[];
  /** Nothing goes wrong: every invalidation is confirmed within seconds. */
  readonly isFaultless: boolean;
  /** Writes a new version, and returns it; undefined where that is not known to have happened. */
  write(key: string): Promise<number | undefined>;
}

/** Reads, writes and invalidates through one cache, and compares what comes with what may. */
export class CacheUser {
  readonly #context: ChainContext;
  readonly #options: CacheUserOptions;
  readonly #random: Random;
  /** The version that was read last, by key. */
  readonly read = new Map<string, number>();
  #pending = 0;
  #stop: () => void = () => undefined;

  constructor(context: ChainContext, options: CacheUserOptions) {
    this.#context = context;
    this.#options = options;
    this.#random = new Random(context.clock.random() * 2 ** 32);
    this.#wait();
  }

  get pending(): number {
    return this.#pending;
  }

  stop(): void {
    this.#stop();
  }

  #wait(): void {
    const { clock, isBusy } = this.#context;
    const isBusyNow = isBusy();
    const ms = isBusyNow ? this.#random.between(0, MAX_GAP_MS) : REST_READ_MS;
    this.#stop = clock.after(ms, () => {
      this.#wait();
      if (!isBusy()) for (const key of cacheKeys) this.#begin(() => this.#get(key, false));
      else if (this.#pending < MAX_PENDING) this.#step();
    });
  }

  #step(): void {
    const key = this.#random.chance(COLD)
      ? (coldKeys[this.#random.integer(0, coldKeys.length - 1)] ?? '')
      : this.#random.pick(hotKeys);
    const dice = this.#random.next();
    if (dice < 0.75) this.#begin(() => this.#get(key, this.#random.chance(0.05)));
    else if (dice < 0.95) this.#begin(() => this.#change(key));
    else if (dice < 0.97) this.#begin(() => this.#invalidate(key, 0));
    // A key of its own: every request that names it is of this call.
    else if (dice < 0.985) this.#begin(() => this.#invalidate(`once-${this.#context.nextTag()}`, 0));
    // More than the window of a stream holds: answers overtake events.
    else for (const each of hotKeys) for (let i = 0; i < 2; i++) this.#begin(() => this.#change(each));
  }

  #begin(act: () => Promise<void>): void {
    this.#pending += 1;
    act().then(
      () => {
        this.#pending -= 1;
      },
      (error: unknown) => this.#context.fail('15', `something threw: ${String(error)}`),
    );
  }

  /**
   * Invariant 15: nothing older than what an invalidation was confirmed of when this began, and nothing older than what the
   * cache had heard of then, confirmed to anybody or not.
   */
  async #get(key: string, fresh: boolean): Promise<void> {
    const { cache, truth } = this.#options;
    const { name } = this.#context;
    const least = truth.leastOf(name, key);
    const { era } = truth;
    const heard = truth.leastAt(key, cache.position);
    let version: number;
    try {
      ({ version } = await cache.get(key, { fresh, timeoutMs: this.#random.between(500, 5_000) }));
    } catch (error) {
      const code = codeOf(error);
      if (!GET_ERRORS.includes(code)) this.#context.fail('15', `reading ${key} ended with ${code}`);
      return;
    }
    if (era !== truth.era) return;
    this.read.set(key, version);
    if (version < least)
      this.#context.fail(
        '15',
        `read version ${version} of ${key} after version ${least} was confirmed (${cache.state})`,
      );
    if (version < heard)
      this.#context.fail('15', `read version ${version} of ${key}, has heard of version ${heard} (${cache.state})`);
    if (!truth.wasEverWritten(key, version))
      this.#context.fail('15', `read version ${version} of ${key}, which nobody has written`);
  }

  async #change(key: string): Promise<void> {
    const { write, truth } = this.#options;
    const { era } = truth;
    const version = await write(key);
    if (era === truth.era) await this.#invalidate(key, version ?? 0);
  }

  async #invalidate(key: string, version: number): Promise<void> {
    const { cache, truth, path, isFaultless } = this.#options;
    const { era } = truth;
    // Whoever has read of a write invalidates it, too; but not where it may be one that was taken back.
    const known = Math.max(version, era === 0 ? (this.read.get(key) ?? 0) : 0);
    truth.requests.asks(path, key);
    try {
      await cache.invalidate(key, { timeoutMs: this.#random.between(isFaultless ? 5_000 : 200, 8_000) });
    } catch (error) {
      const code = codeOf(error);
      if (!INVALIDATE_ERRORS.includes(code)) this.#context.fail('15', `invalidating ${key} ended with ${code}`);
      this.#context.did('invalidations that were not confirmed');
      return;
    }
    if (!this.#context.isAlive()) return;
    const fault = truth.requests.resolves(path, key);
    if (fault !== undefined) this.#context.fail('15', fault);
    this.#context.did('invalidations that were confirmed');
    if (era !== truth.era) return;
    truth.confirm(path, key, known);
    await this.#get(key, false);
  }
}
