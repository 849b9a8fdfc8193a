import type { LocalSource } from '../watch/localSource.ts';
import type { Mirror, MirrorOptions } from '../watch/mirror.ts';
import type { Position } from '../watch/position.ts';
import type { CacheState, Line } from './line.ts';
import type { CacheEvent } from './messages.ts';
import type { WaitOptions } from './waitFor.ts';

/** Options of {@link Cache.get}. */
export interface GetOptions extends WaitOptions {
  /**
   * Bypasses every cache on the way to the owner, whose `load` is called. A read and nothing else: what others hold, they
   * keep.
   */
  fresh?: boolean | undefined;
}

/** Options of {@link Cache.invalidate}. */
export interface InvalidateOptions {
  /** Rejects with {@link CacheUnconfirmedError} after so many milliseconds; 30 000 by default. */
  timeoutMs?: number | undefined;
  /** Rejects with {@link CacheUnconfirmedError}. The invalidation may happen nevertheless. */
  signal?: AbortSignal | undefined;
}

/** What a cache has been through. */
export interface CacheStats {
  /** Answered with what was held. */
  readonly hits: number;
  /** Answered by a fetch that was under way already. */
  readonly shared: number;
  /** Fetches that were begun: loads at the owner, requests elsewhere. */
  readonly fetches: number;
  /** Requests for an invalidation that were passed to the upstream, or published by the owner. */
  readonly invalidations: number;
  /** Events that were applied. */
  readonly drops: number;
  /** How often everything was dropped because something was missed, the beginning included. */
  readonly clears: number;
  /** Callers that wait, and fetches under way, just now. */
  readonly pending: number;
}

/** A cache: the owner of its values, or a hop between it and others. */
export interface Cache<V> {
  /**
   * The value of a key. Callers share it: it is not theirs to change.
   * Rejects with what the owner's `load` threw, on other hops with a {@link CallError} of the same code; with a `CallError`
   * of the code DEADLINE_EXCEEDED or CANCEL; with {@link CacheBusyError}, {@link CacheLostError} or {@link CacheClosedError}.
   */
  get(key: string, options?: GetOptions | undefined): Promise<V>;
  /**
   * Makes every cache on the way from here to the owner drop a value, and every other as soon as it hears of it. To be called
   * after what was written can be read. Once it resolves, with the position of the event, no cache on this way serves what was
   * there before.
   * Rejects with {@link CacheUnconfirmedError}; with a {@link CallError}, {@link CacheBusyError} or {@link CacheClosedError} if
   * nothing was done.
   */
  invalidate(key: string, options?: InvalidateOptions | undefined): Promise<Position>;
  /**
   * Writes, then invalidates, in the only order that is right. If `write` fails, who knows what it has written: the key is
   * invalidated nevertheless.
   * Rejects with what `write` threw; else as {@link invalidate}, and then it was written. With {@link CacheClosedError} or
   * {@link InvalidArgumentError} it rejects before `write` is called.
   * @returns what `write` returned
   */
  update<T>(key: string, write: () => T | Promise<T>, options?: InvalidateOptions | undefined): Promise<T>;
  readonly state: CacheState;
  /** How much of the owner's history was applied. */
  readonly position: Position | undefined;
  readonly stats: CacheStats;
  /** What the next hop is served from: for {@link cacheProcedures}. */
  readonly hop: CacheHop<V>;
  /** Ends it, and everything that waits on it. Close it after the servers that serve it. */
  close(): void;
}

/** What a request of the next hop needs. */
export interface ReadNeed {
  readonly fresh: boolean;
  readonly atLeast: Position | undefined;
  /** How many caches it has gone through. */
  readonly hops: number;
}

/** Makes a mirror of the owner's topic. */
export type MirrorMaker = (options: MirrorOptions) => Mirror<CacheEvent>;

/** A cache as the next hop sees it. */
export interface CacheHop<V> {
  /**
   * What it has applied, under the owner's positions.
   * @param make how a hop that is not the owner gets a mirror of that: only one that is served needs any
   */
  changes(make: MirrorMaker): LocalSource<CacheEvent>;
  readonly line: Line;
  /** @param options asked for only if there is something to wait for: the signal of a call costs more than a hit */
  read(key: string, need: ReadNeed, options: () => WaitOptions): Promise<V>;
  /** Passes an invalidation on to the owner, and answers with its position; nothing was applied here by then. */
  request(key: string, hops: number, options: WaitOptions): Promise<Position>;
}
