import { HoldfastError } from '../transport/errors.ts';

/**
 * What a call can fail with besides what its procedure declares, and what the router throws at its caller.
 * Nothing here needs TypeBox at run time: a browser's client reaches this file.
 */

/** The handler threw, or answered with something that does not fit its schema. Sent with the cancel flag. */
export const UNCAUGHT_ERROR_CODE = 'UNCAUGHT_ERROR';
/** The session ended while the call was open, or there is none to make the call on. Never on the wire. */
export const UNEXPECTED_DISCONNECT_CODE = 'UNEXPECTED_DISCONNECT';
/** The server does not understand the request: an unknown name, or a payload that fails its schema. */
export const INVALID_REQUEST_CODE = 'INVALID_REQUEST';
/** One of the two sides gave the call up. */
export const CANCEL_CODE = 'CANCEL';
/** `timeoutMs` is over. Made by the caller's side; the wire carries {@link CANCEL_CODE}. */
export const DEADLINE_EXCEEDED_CODE = 'DEADLINE_EXCEEDED';
/** The session holds too much that the peer has not confirmed. On the wire only between peers with extensions. */
export const SESSION_BUFFER_FULL_CODE = 'SESSION_BUFFER_FULL';
/** An earlier attempt of a call with an idempotency key may have been executed, and nobody can tell; this one was not. */
export const OUTCOME_UNKNOWN_CODE = 'OUTCOME_UNKNOWN';
/** The idempotency key belongs to another request. Nothing was executed. */
export const IDEMPOTENCY_KEY_REUSED_CODE = 'IDEMPOTENCY_KEY_REUSED';
/** The server has no room to remember another call with an idempotency key. Nothing was executed. */
export const IDEMPOTENCY_STORE_FULL_CODE = 'IDEMPOTENCY_STORE_FULL';
/** The server keeps no outcomes. Nothing was sent. Never on the wire. */
export const IDEMPOTENCY_UNSUPPORTED_CODE = 'IDEMPOTENCY_UNSUPPORTED';
/** The readable was broken by its own reader. Never on the wire. */
export const READABLE_BROKEN_CODE = 'READABLE_BROKEN';

/** The shape of every error result. */
export interface ErrorPayload {
  /** Stable, for programs. */
  code: string;
  /** One sentence for people. */
  message: string;
  extras?: unknown;
}

/** One place where a payload does not fit its schema. */
export interface ValidationError {
  /** JSON pointer into the payload, cut at 200 characters. */
  path: string;
  message: string;
}

/** What an invalid request may tell: the first few places, and how many there are (counting stops at 100). */
export interface ValidationErrors {
  firstValidationErrors: ValidationError[];
  totalErrors: number;
}

/** The call was given up, by `ctx.cancel` or by the caller. */
export type CancelError = { code: typeof CANCEL_CODE; message: string };

/** Every error that a reader meets besides the ones its procedure declares. */
export type ReaderError =
  | { code: typeof UNCAUGHT_ERROR_CODE; message: string }
  | { code: typeof UNEXPECTED_DISCONNECT_CODE; message: string }
  | { code: typeof INVALID_REQUEST_CODE; message: string; extras?: ValidationErrors | undefined }
  | CancelError
  | { code: typeof DEADLINE_EXCEEDED_CODE; message: string }
  | { code: typeof SESSION_BUFFER_FULL_CODE; message: string }
  | IdempotencyError;

/** What only a call with an idempotency key can fail with. */
export type IdempotencyError = {
  code:
    | typeof OUTCOME_UNKNOWN_CODE
    | typeof IDEMPOTENCY_KEY_REUSED_CODE
    | typeof IDEMPOTENCY_STORE_FULL_CODE
    | typeof IDEMPOTENCY_UNSUPPORTED_CODE;
  message: string;
};

/** What a reader gets that waits for a value of a readable which is broken meanwhile. */
export type ReadableBrokenError = { code: typeof READABLE_BROKEN_CODE; message: string };

/** True for `{code: string, message: string}`, whatever else it carries. */
export function isErrorPayload(value: unknown): value is ErrorPayload {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'message' in value &&
    typeof value.message === 'string'
  );
}

/** The `extras` of an error, where its type has any. */
export type ExtrasOf<E> = E extends { extras?: infer X } ? X : undefined;

/** An error result as an exception: what `values()` and `unwrapOrThrow()` throw. */
export class CallError<E extends ErrorPayload = ErrorPayload> extends HoldfastError {
  declare readonly code: E['code'];
  readonly extras: ExtrasOf<E>;
  /** The whole error, for narrowing by its code. */
  readonly payload: E;
  constructor(payload: E) {
    super(payload.code, payload.message);
    this.payload = payload;
    this.extras = payload.extras as ExtrasOf<E>; // the same property of the same object, named by a conditional type
  }
}

/** A readable has one consumer for life, and it has had it. */
export class ReadableLockedError extends HoldfastError {
  constructor() {
    super('READABLE_LOCKED', 'this readable already has its one consumer: it was iterated, collected or broken before');
  }
}

/** A value was written to a writable that its own user has closed. */
export class WriteAfterCloseError extends HoldfastError {
  constructor(doing: string) {
    super('WRITE_AFTER_CLOSE', `this writable was closed: ${doing} is not possible any more`);
  }
}

/** The call is over: whoever waits for it to become writable waits in vain. Also the reason of `ctx.signal`. */
export class CallEndedError extends HoldfastError {
  constructor(reason: string) {
    super('CALL_ENDED', `the call has ended: ${reason}`);
  }
}

/** A middleware called `next()` twice, or returned neither a result nor after `next()`. */
export class MiddlewareError extends HoldfastError {
  constructor(message: string) {
    super('MIDDLEWARE', message);
  }
}
