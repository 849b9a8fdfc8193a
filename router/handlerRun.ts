import type { HandlerContext } from './context.ts';
import type { ErrorPayload } from './errors.ts';
import { type CallOutcome, runMiddlewares } from './middleware.ts';
import type { LiveProcedure } from './openCall.ts';
import type { ReadableQueue } from './readable.ts';
import { judgeResponse } from './response.ts';
import { Err } from './result.ts';
import type { WritableHalf } from './writable.ts';

/** What a handler is run with; the halves its kind does not have are undefined. */
export interface HandlerArgs {
  readonly ctx: HandlerContext;
  readonly reqInit: unknown;
  readonly reqReadable: ReadableQueue<unknown, ErrorPayload> | undefined;
  readonly resWritable: WritableHalf<never> | undefined;
}

/** Runs a handler by itself. What it returns is still to be judged. */
export function runHandler(procedure: LiveProcedure, args: HandlerArgs): unknown {
  return procedure.handler(args as never); // what its kind asks for: checked where the procedure was defined
}

/**
 * Runs a handler within its middlewares.
 * @param endedWith why the call has ended, if it has while the middlewares were thinking
 * @returns the result to send, judged; undefined where a subscription or stream goes on
 * @throws what the handler or a middleware throws, and {@link InvalidResponseError}
 */
export async function runWithMiddlewares(
  procedure: LiveProcedure,
  args: HandlerArgs,
  endedWith: () => ErrorPayload | undefined,
  stripUndeclared: boolean,
): Promise<CallOutcome> {
  const { middlewares, serviceName, procedureName, type } = procedure;
  const { ctx, reqInit, resWritable } = args;
  let judged: CallOutcome;
  const outcome = await runMiddlewares(middlewares, {
    ctx,
    reqInit,
    serviceName,
    procedureName,
    procedureType: type,
    async runHandler() {
      const error = endedWith();
      if (error !== undefined) return Err(error);
      const answer = await runHandler(procedure, args);
      // A middleware sees what will be sent, and of a subscription or stream nothing.
      if (resWritable === undefined) judged = judgeResponse(procedure, answer, stripUndeclared);
      return judged;
    },
  });
  // A middleware's errors are its own affair; an Ok that it made up must fit the schema like any other.
  if (outcome === judged || outcome?.ok !== true) return outcome;
  return judgeResponse(procedure, outcome, stripUndeclared);
}
