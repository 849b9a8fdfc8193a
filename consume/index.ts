export type {
  AsyncConsumer,
  Consumer,
  GapPolicy,
  HandlerContext,
  TransactionalConsumer,
} from './consumer.ts';
export { createEngine, type Engine, type RunReport } from './engine.ts';
export {
  AsyncEffectError,
  ConsumeError,
  ConsumeOptionsError,
  ConsumerStatusError,
  EngineClosedError,
  HandlerTimeoutError,
  LeaseLostError,
  OnceInProgressError,
  ReachedTimeoutError,
  SourceError,
  StoreError,
  UnknownConsumerError,
} from './errors.ts';
export { MemoryCheckpointStore, type MemoryTransaction } from './memoryStore.ts';
export {
  type OnceAsyncOptions,
  type OnceAsyncOutcome,
  type OnceOptions,
  type OnceOutcome,
  once,
  onceAsync,
  pruneLedger,
} from './once.ts';
export type { EngineFault, EngineOptions, RetryOptions } from './options.ts';
export type { ConsumerFailure, ConsumerRecord, RecordedGap } from './record.ts';
export { SqliteCheckpointStore } from './sqliteStore.ts';
export { type ConsumerStatus, consumerStatuses, statusEdges, type UndisturbedStatus } from './status.ts';
export type { CheckpointStore, Claim, Lease } from './store.ts';
export type { ReachedOptions } from './waiters.ts';
