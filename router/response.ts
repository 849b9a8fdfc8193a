import { MessageTooLargeError, SessionBufferFullError } from '../transport/errors.ts';
import { CANCEL_CODE, type ErrorPayload, SESSION_BUFFER_FULL_CODE, UNCAUGHT_ERROR_CODE } from './errors.ts';
import type { LiveProcedure } from './openCall.ts';
import { isResult, type Result } from './result.ts';
import { describeErrors } from './schema.ts';

/** A result as the router sends it. */
export type AnyResult = Result<unknown, ErrorPayload>;

/** A handler answered with something that is no result, or that does not fit its schema. For the log only. */
export class InvalidResponseError extends Error {
  override readonly name = 'InvalidResponseError';
}

/** True for the error that `ctx.cancel` returns, which no schema declares. */
export function isCancellation(result: AnyResult): boolean {
  return !result.ok && result.payload.code === CANCEL_CODE;
}

/**
 * Judges what a handler answered.
 * @returns the result to send: the same, or without what its schema does not declare
 * @throws {InvalidResponseError} with paths and messages, never with values
 */
export function judgeResponse(procedure: LiveProcedure, response: unknown, stripUndeclared: boolean): AnyResult {
  if (!isResult(response)) throw new InvalidResponseError('expected Ok(…) or Err(…)');
  const schema = response.ok ? procedure.responseData : procedure.responseError;
  if (!schema.check(response.payload)) {
    if (isCancellation(response)) return response;
    const what = response.ok ? 'responseData' : `responseError ${response.payload.code}`;
    throw new InvalidResponseError(`${what}: ${describeErrors(schema.errors(response.payload))}`);
  }
  if (!stripUndeclared) return response;
  const payload = schema.strip(response.payload);
  // The cast: what fits an error schema has a code and a message, and stripping keeps what is declared.
  return response.ok ? { ok: true, payload } : { ok: false, payload: payload as ErrorPayload };
}

/** What the caller is told where there is no room. River knows no code for it. */
export function bufferFull(message: string, speaksExtensions: boolean): ErrorPayload {
  return { code: speaksExtensions ? SESSION_BUFFER_FULL_CODE : UNCAUGHT_ERROR_CODE, message };
}

/** What the caller is told when its result could not be sent. */
export function unsendable(error: unknown, speaksExtensions: boolean): ErrorPayload {
  if (error instanceof SessionBufferFullError)
    return bufferFull('the session holds too many unconfirmed bytes for this response', speaksExtensions);
  const message =
    error instanceof MessageTooLargeError ? 'the response is too large' : 'the response cannot be encoded';
  return { code: UNCAUGHT_ERROR_CODE, message };
}
