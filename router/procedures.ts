import { type TNever, Type } from '@sinclair/typebox';
import type { ProcedureHandlerContext } from './context.ts';
import type { ErrorSchema } from './errorSchemas.ts';
import type { CancelError, ReaderError } from './errors.ts';
import type { Readable } from './readable.ts';
import type { Result } from './result.ts';
import type { Infer, PayloadSchema } from './schema.ts';
import type { Writable } from './writable.ts';

/** The four kinds of procedures: who sends how many messages. */
export type ProcedureKind = 'rpc' | 'upload' | 'subscription' | 'stream';

/** What the handler of an rpc or an upload answers. `ctx.cancel(…)` may be returned from it, too. */
export type HandlerResult<D extends PayloadSchema, E extends PayloadSchema> =
  | Result<Infer<D>, Infer<E> | CancelError>
  | Promise<Result<Infer<D>, Infer<E> | CancelError>>;

/** One request, one result. */
export type RpcHandler<Ctx, I extends PayloadSchema, D extends PayloadSchema, E extends PayloadSchema> = (args: {
  ctx: Ctx;
  reqInit: Infer<I>;
}) => HandlerResult<D, E>;

/** Many requests, one result. */
export type UploadHandler<
  Ctx,
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends PayloadSchema,
> = (args: { ctx: Ctx; reqInit: Infer<I>; reqReadable: Readable<Infer<R>, ReaderError> }) => HandlerResult<D, E>;

/** One request, many results: until the handler closes `resWritable`, not until it returns. */
export type SubscriptionHandler<
  Ctx,
  I extends PayloadSchema,
  D extends PayloadSchema,
  E extends PayloadSchema,
> = (args: { ctx: Ctx; reqInit: Infer<I>; resWritable: Writable<Result<Infer<D>, Infer<E>>> }) => void | Promise<void>;

/** Many requests, many results: until both sides have closed, not until the handler returns. */
export type StreamHandler<
  Ctx,
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends PayloadSchema,
> = (args: {
  ctx: Ctx;
  reqInit: Infer<I>;
  reqReadable: Readable<Infer<R>, ReaderError>;
  resWritable: Writable<Result<Infer<D>, Infer<E>>>;
}) => void | Promise<void>;

/** What is said about a procedure of any kind where it is defined. */
export interface ProcedureDefinition<I extends PayloadSchema, D extends PayloadSchema, E extends PayloadSchema> {
  /** Describes what the caller says first. */
  requestInit: I;
  /** Describes every answer that went well. */
  responseData: D;
  /** Describes the errors the handler may answer with; none if it is absent. */
  responseError?: E | undefined;
  /** For people, and for `serializeSchema`. */
  description?: string | undefined;
}

/**
 * What a service asks of its procedures: that its context is enough for their handlers. The phantom is what lets a
 * handler's `ctx` be inferred from the service around it; no object has it.
 */
export interface ProcedureFor<Ctx> {
  readonly type: ProcedureKind;
  readonly '~ctx'?: ((ctx: Ctx) => void) | undefined;
}

/** A procedure with one init, whatever follows it. */
interface Procedure1<Ctx, I, D, E> extends ProcedureFor<Ctx> {
  readonly requestInit: I;
  readonly responseData: D;
  readonly responseError: E;
  readonly description: string | undefined;
}

/** Made by {@link Procedure}`.rpc`. */
export interface RpcProcedure<Ctx, I extends PayloadSchema, D extends PayloadSchema, E extends PayloadSchema>
  extends Procedure1<Ctx, I, D, E> {
  readonly type: 'rpc';
  readonly handler: RpcHandler<Ctx, I, D, E>;
}

/** Made by {@link Procedure}`.upload`. */
export interface UploadProcedure<
  Ctx,
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends PayloadSchema,
> extends Procedure1<Ctx, I, D, E> {
  readonly type: 'upload';
  readonly requestData: R;
  readonly handler: UploadHandler<Ctx, I, R, D, E>;
}

/** Made by {@link Procedure}`.subscription`. */
export interface SubscriptionProcedure<Ctx, I extends PayloadSchema, D extends PayloadSchema, E extends PayloadSchema>
  extends Procedure1<Ctx, I, D, E> {
  readonly type: 'subscription';
  readonly handler: SubscriptionHandler<Ctx, I, D, E>;
}

/** Made by {@link Procedure}`.stream`. */
export interface StreamProcedure<
  Ctx,
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends PayloadSchema,
> extends Procedure1<Ctx, I, D, E> {
  readonly type: 'stream';
  readonly requestData: R;
  readonly handler: StreamHandler<Ctx, I, R, D, E>;
}

/** Any procedure, as the router runs it: its types were checked where it was defined. */
export interface AnyProcedure {
  readonly type: ProcedureKind;
  readonly requestInit: PayloadSchema;
  readonly requestData?: PayloadSchema | undefined;
  readonly responseData: PayloadSchema;
  readonly responseError: PayloadSchema;
  readonly description?: string | undefined;
  readonly handler: (args: never) => unknown;
}

// Where no error is declared, E is inferred from nothing and falls to its default, which is what this makes.
function declared<E extends ErrorSchema>(responseError: E | undefined): E {
  return responseError ?? (Type.Never() as ErrorSchema as E);
}

function rpc<
  I extends PayloadSchema,
  D extends PayloadSchema,
  E extends ErrorSchema = TNever,
  Ctx = ProcedureHandlerContext,
>(definition: ProcedureDefinition<I, D, E> & { handler: RpcHandler<Ctx, I, D, E> }): RpcProcedure<Ctx, I, D, E> {
  const { requestInit, responseData, responseError, description, handler } = definition;
  return { type: 'rpc', requestInit, responseData, responseError: declared(responseError), description, handler };
}

function upload<
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends ErrorSchema = TNever,
  Ctx = ProcedureHandlerContext,
>(
  definition: ProcedureDefinition<I, D, E> & {
    /** Describes what the caller sends after its init. */
    requestData: R;
    handler: UploadHandler<Ctx, I, R, D, E>;
  },
): UploadProcedure<Ctx, I, R, D, E> {
  const { requestInit, requestData, responseData, description, handler } = definition;
  const responseError = declared(definition.responseError);
  return { type: 'upload', requestInit, requestData, responseData, responseError, description, handler };
}

function subscription<
  I extends PayloadSchema,
  D extends PayloadSchema,
  E extends ErrorSchema = TNever,
  Ctx = ProcedureHandlerContext,
>(
  definition: ProcedureDefinition<I, D, E> & { handler: SubscriptionHandler<Ctx, I, D, E> },
): SubscriptionProcedure<Ctx, I, D, E> {
  const { requestInit, responseData, description, handler } = definition;
  const responseError = declared(definition.responseError);
  return { type: 'subscription', requestInit, responseData, responseError, description, handler };
}

function stream<
  I extends PayloadSchema,
  R extends PayloadSchema,
  D extends PayloadSchema,
  E extends ErrorSchema = TNever,
  Ctx = ProcedureHandlerContext,
>(
  definition: ProcedureDefinition<I, D, E> & {
    /** Describes what the caller sends after its init. */
    requestData: R;
    handler: StreamHandler<Ctx, I, R, D, E>;
  },
): StreamProcedure<Ctx, I, R, D, E> {
  const { requestInit, requestData, responseData, description, handler } = definition;
  const responseError = declared(definition.responseError);
  return { type: 'stream', requestInit, requestData, responseData, responseError, description, handler };
}

/**
 * Defines procedures: a schema for everything that crosses the wire, and a handler. `ctx` is typed by the service the
 * definition stands in.
 */
export const Procedure = { rpc, upload, subscription, stream };
