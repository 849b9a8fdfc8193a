export type { Cache, CacheHop, CacheStats, GetOptions, InvalidateOptions, MirrorMaker, ReadNeed } from './cache.ts';
export {
  type CacheProcedures,
  type CacheProceduresOptions,
  type CacheQuestion,
  cacheProcedures,
} from './cacheProcedures.ts';
export { createCache, type LoadOptions, type OwnerOptions } from './createCache.ts';
export {
  CacheBusyError,
  CacheClosedError,
  CacheError,
  CacheLoopError,
  CacheLostError,
  CacheUnconfirmedError,
  LOAD_FAILED_CODE,
  NOT_AUTHORIZED_CODE,
} from './errors.ts';
export type { CacheState } from './line.ts';
export {
  type CacheEvent,
  CacheEventSchema,
  CacheFailureSchema,
  cachedValueSchema,
  type GetRequest,
  GetRequestSchema,
  type Invalidated,
  InvalidatedSchema,
  type InvalidateRequest,
  InvalidateRequestSchema,
} from './messages.ts';
export type { CacheOptions } from './options.ts';
export { type CacheUpstream, type RelayOptions, relayCache } from './relayCache.ts';
export { type CacheStore, MemoryCacheStore, type SavedPosition } from './store.ts';
export type { WaitOptions } from './waitFor.ts';
