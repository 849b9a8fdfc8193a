import { CallError, type ErrorPayload, HoldfastError, INVALID_REQUEST_CODE } from '../router/index.ts';
import { InvalidArgumentError, showPosition } from '../watch/errors.ts';
import type { Position } from '../watch/position.ts';

/** The caller may not do this; said by the procedures of `cacheProcedures`. */
export const NOT_AUTHORIZED_CODE = 'NOT_AUTHORIZED';
/** The owner's `load` threw something that is no `CallError`; what it was, is told to nobody. */
export const LOAD_FAILED_CODE = 'LOAD_FAILED';

/** What a cache fails with by itself. Its message crosses the wire. */
export class CacheError extends HoldfastError {}

/**
 * An invalidation was not confirmed: whether every cache on the path has dropped the value is unknown, and it may still
 * happen. `cause` says why.
 */
export class CacheUnconfirmedError extends CacheError {
  readonly key: string;
  /** Where the owner has published it; undefined if it is not known whether it has. */
  readonly position: Position | undefined;
  constructor(key: string, position: Position | undefined, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const where =
      position === undefined ? 'no answer of the owner' : `published at ${showPosition(position)}, not heard of`;
    super('CACHE_UNCONFIRMED', `the invalidation is not confirmed (${where}): ${why}`, { cause });
    this.key = key;
    this.position = position;
  }
}

/** The cache was closed. */
export class CacheClosedError extends CacheError {
  constructor(doing: string) {
    super('CACHE_CLOSED', `the cache was closed: ${doing} is not possible any more`);
  }
}

/** There are as many fetches or callers under way as there may be. */
export class CacheBusyError extends CacheError {
  constructor(what: string, limit: number) {
    super('CACHE_BUSY', `expected at most ${limit} ${what} at once, got one more`);
  }
}

/** The subscription to the upstream is lost, and the cache was told not to answer then. */
export class CacheLostError extends CacheError {
  constructor() {
    super('CACHE_LOST', "the subscription to the upstream is lost, and whenLost is 'reject'");
  }
}

/** A request went through more caches than there can be between a caller and the owner: one of them is its own upstream. */
export class CacheLoopError extends CacheError {
  constructor(limit: number) {
    super('CACHE_LOOP', `expected at most ${limit} hops to the owner, got one more: is a cache its own upstream?`);
  }
}

/** What the next hop is told of an error. Texts of exceptions that are not meant for it stay here. */
export function failureOf(error: unknown): ErrorPayload {
  if (error instanceof CallError) return error.payload;
  if (error instanceof InvalidArgumentError) return { code: INVALID_REQUEST_CODE, message: error.message };
  if (error instanceof CacheError) return { code: error.code, message: error.message };
  return { code: LOAD_FAILED_CODE, message: 'the owner of the cache could not load the value' };
}
