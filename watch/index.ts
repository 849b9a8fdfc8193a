export type { TopicClient } from './attempt.ts';
export type { Permission } from './authorization.ts';
export {
  type Collection,
  type CollectionEvent,
  type CollectionOptions,
  type CollectionView,
  collectionEventSchema,
  createCollection,
  type TypedCollection,
} from './collection.ts';
export { type CollectionProcedures, collectionProcedures, type SnapshotPage } from './collectionProcedures.ts';
export {
  EventNotStorableError,
  InvalidArgumentError,
  InvalidEventError,
  LoadTimeoutError,
  NotAuthorizedError,
  OriginError,
  OtherEpochError,
  ReachedAbortedError,
  ReachedTimeoutError,
  TransactionError,
  UnsendableEventError,
  UnusableLoadError,
  WatchClosedError,
} from './errors.ts';
export { hasReached } from './hasReached.ts';
export type { LoadContext, LoadReason } from './loader.ts';
export type { LocalSource } from './localSource.ts';
export { MemoryTopicStore } from './memoryStore.ts';
export {
  type SentEvent,
  type TopicError,
  TopicErrorSchema,
  type TopicMessage,
  type TopicRequest,
  TopicRequestSchema,
  topicMessageSchema,
} from './messages.ts';
export { createMirror, type Mirror, type MirrorOptions } from './mirror.ts';
export { type MirrorTopicOptions, mirrorTopic, type TopicMirror } from './mirrorTopic.ts';
export { type Position, PositionSchema } from './position.ts';
export type { ReachedOptions } from './reached.ts';
export type { EventSource, Positioned, ReadOutcome } from './source.ts';
export {
  inTransaction,
  type NotAPromise,
  type SqliteDatabase,
  type SqliteStatement,
  type SqliteValue,
} from './sqlite.ts';
export { SqliteIdempotencyStore, type SqliteIdempotencyStoreOptions } from './sqliteIdempotencyStore.ts';
export { SqliteTopicStore, type SqliteTopicStoreOptions } from './sqliteStore.ts';
export type { Extent, Keep, SettledKeep, TopicStore } from './store.ts';
export { createTopic, type Topic, type TopicOptions } from './topic.ts';
export { type TopicProcedure, type TopicProcedureOptions, topicProcedure } from './topicProcedure.ts';
export {
  type DeltaMode,
  type NotificationMode,
  type SourceOptions,
  type ValueOptions,
  type WatchSource,
  watch,
} from './watch.ts';
export { type CollectionClient, type CollectionWatchOptions, watchCollection } from './watchCollection.ts';
export type { Watch, WatchState, WatchStats } from './watchCore.ts';
export { type KeyWatcherOptions, type KeyWatchers, watchKeys } from './watchKeys.ts';
export type { Loaded } from './watchModes.ts';
