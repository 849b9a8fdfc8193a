import type { CallContext, ProcedureHandlerContext } from './context.ts';
import { type ErrorPayload, MiddlewareError } from './errors.ts';
import type { ProcedureKind } from './procedures.ts';
import { isResult, type Result } from './result.ts';

/** How a call came out, as a middleware sees it: undefined from the handler of a subscription or stream. */
export type CallOutcome = Result<unknown, ErrorPayload> | undefined;

/** What a middleware gets. */
export interface MiddlewareArgs<Context extends object = object, Metadata = object> {
  readonly ctx: ProcedureHandlerContext<unknown, Context, Metadata>;
  readonly reqInit: unknown;
  readonly serviceName: string;
  readonly procedureName: string;
  readonly procedureType: ProcedureKind;
  /**
   * Runs the next middleware, or the handler; at most once. Rejects with what the handler throws. If the call has ended
   * meanwhile, the handler does not run and the outcome is the error the call ended with.
   */
  readonly next: () => Promise<CallOutcome>;
}

/**
 * Runs around the handlers of a server or of a service. It lets a call through with `next()`, and what it returns is
 * the call's result: what `next()` gave, an `Err` of its own with any code, or nothing, which stands for the former.
 * A throw is `UNCAUGHT_ERROR`, and so is returning nothing without having called `next()`.
 */
export type Middleware<Context extends object = object, Metadata = object> = (
  args: MiddlewareArgs<Context, Metadata>,
  // biome-ignore lint/suspicious/noConfusingVoidType: a middleware that returns nothing is typed void
) => CallOutcome | void | Promise<CallOutcome | void>;

/** A middleware as the router runs it: what its context must have was checked where it was given. */
export type AnyMiddleware = (args: never) => unknown;

/** What {@link runMiddlewares} needs of a call. */
export interface MiddlewareCall {
  readonly ctx: CallContext<unknown, unknown>;
  readonly reqInit: unknown;
  readonly serviceName: string;
  readonly procedureName: string;
  readonly procedureType: ProcedureKind;
  /** Runs the handler, or says why the call has ended. */
  runHandler(): Promise<CallOutcome>;
}

/** Runs a call through middlewares, the first outermost, and settles as its outcome. */
export async function runMiddlewares(
  middlewares: readonly AnyMiddleware[],
  call: MiddlewareCall,
  index = 0,
): Promise<CallOutcome> {
  const middleware = middlewares[index];
  if (middleware === undefined) return call.runHandler();
  let inner: Promise<CallOutcome> | undefined;
  const next = (): Promise<CallOutcome> => {
    if (inner !== undefined) throw new MiddlewareError('next() was called twice by one middleware');
    inner = runMiddlewares(middlewares, call, index + 1);
    inner.catch(() => undefined); // a middleware that does not await it is told below, not by an unhandled rejection
    return inner;
  };
  const { ctx, reqInit, serviceName, procedureName, procedureType } = call;
  const args: MiddlewareArgs = {
    ctx: ctx as MiddlewareArgs['ctx'], // the server made it with everything its middlewares ask for
    reqInit,
    serviceName,
    procedureName,
    procedureType,
    next,
  };
  const outcome = await middleware(args as never); // see AnyMiddleware
  if (outcome !== undefined) {
    if (!isResult(outcome)) throw new MiddlewareError('a middleware returned something that is no result');
    return outcome;
  }
  if (inner === undefined) throw new MiddlewareError('a middleware returned nothing and did not call next()');
  return inner;
}
