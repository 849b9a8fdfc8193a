// For the optional parts, whose time is the application's or a simulator's, too.
export { type CancelTimer, type Clock, systemClock } from '../transport/clock.ts';
// And whose errors and checks of payloads are of one kind with everybody's.
export { HoldfastError } from '../transport/errors.ts';
export { broadcast } from './broadcast.ts';
export type { CallOptions, UnkeyedCallOptions } from './callOptions.ts';
export { type ClientOptions, createClient, onceTransportClosed } from './client.ts';
export type {
  Client,
  ProcedureClient,
  RpcClient,
  ServiceClient,
  StreamClient,
  SubscriptionClient,
  UploadClient,
} from './clientTypes.ts';
export { type ConnectedClient, type ConnectOptions, type ConnectStatus, connect } from './connect.ts';
export { type CallContext, callBehind, type ProcedureHandlerContext } from './context.ts';
export {
  type ErrorObjectSchema,
  type ErrorSchema,
  type ErrorUnionSchema,
  flattenErrorType,
  ReaderErrorSchema,
} from './errorSchemas.ts';
export {
  CANCEL_CODE,
  CallEndedError,
  CallError,
  type CancelError,
  DEADLINE_EXCEEDED_CODE,
  type ErrorPayload,
  IDEMPOTENCY_KEY_REUSED_CODE,
  IDEMPOTENCY_STORE_FULL_CODE,
  IDEMPOTENCY_UNSUPPORTED_CODE,
  type IdempotencyError,
  INVALID_REQUEST_CODE,
  MiddlewareError,
  OUTCOME_UNKNOWN_CODE,
  READABLE_BROKEN_CODE,
  type ReadableBrokenError,
  ReadableLockedError,
  type ReaderError,
  SESSION_BUFFER_FULL_CODE,
  UNCAUGHT_ERROR_CODE,
  UNEXPECTED_DISCONNECT_CODE,
  type ValidationError,
  type ValidationErrors,
  WriteAfterCloseError,
} from './errors.ts';
export { type ClientHandshakeOptions, createClientHandshakeOptions } from './handshake.ts';
export {
  entryBytes,
  type IdempotencyLimitOptions,
  IdempotencyLimits,
  type IdempotencyUsage,
} from './idempotencyLimits.ts';
export type { ClaimAnswer, IdempotencyClaim, IdempotencyStore } from './idempotencyStore.ts';
export type { IdempotencyOptions } from './keyedCalls.ts';
export {
  IdempotencyStoreFullError,
  MemoryIdempotencyStore,
  type MemoryIdempotencyStoreOptions,
} from './memoryIdempotencyStore.ts';
export type { CallOutcome, Middleware, MiddlewareArgs } from './middleware.ts';
export {
  type HandlerResult,
  Procedure,
  type ProcedureFor,
  type ProcedureKind,
  type RpcProcedure,
  type StreamProcedure,
  type SubscriptionProcedure,
  type UploadProcedure,
} from './procedures.ts';
export type {
  ProcErrors,
  ProcHandler,
  ProcInit,
  ProcRequest,
  ProcResponse,
  ProcType,
  ResponseData,
} from './procedureTypes.ts';
export { type Readable, type ReadableIterator, type ReadableResult, values } from './readable.ts';
export {
  Err,
  type ErrResult,
  Ok,
  type OkResult,
  type Result,
  type ResultUnwrapErr,
  type ResultUnwrapOk,
  unwrapOrThrow,
} from './result.ts';
export { type CompiledSchema, compileSchema, describeErrors, type Infer, type PayloadSchema } from './schema.ts';
export {
  type JsonSchema,
  type SerializedProcedure,
  type SerializedServer,
  type SerializedService,
  serializeSchema,
} from './serialize.ts';
export { createServer, type OpenCall, type Server, type ServerOptions } from './server.ts';
export {
  createServerHandshakeOptions,
  type ServerHandshakeExtras,
  type ServerHandshakeOptions,
} from './serverHandshake.ts';
export {
  type AnyServiceSchema,
  type AnyServiceSchemaMap,
  createServiceSchema,
  type InstantiatedServices,
  type ProcedureMap,
  type Service,
  type ServiceConfiguration,
  type ServiceNeeds,
  type ServiceScaffold,
  type ServiceSchema,
  type ServiceSchemaFactory,
} from './services.ts';
export type { Writable } from './writable.ts';
export type { WriteAllOptions, WriteSource } from './writeAll.ts';
