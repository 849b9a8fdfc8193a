import { CallError, type ErrorPayload, isErrorPayload } from './errors.ts';

/** A call's outcome: on the wire `{ok: true, payload}` or `{ok: false, payload: {code, message, extras?}}`. */
export type Result<T, E> = OkResult<T> | ErrResult<E>;

/** The outcome that went well. */
export interface OkResult<T> {
  ok: true;
  payload: T;
}

/** The outcome that failed. */
export interface ErrResult<E> {
  ok: false;
  payload: E;
}

/** The payload type of the Ok half of a result type. */
export type ResultUnwrapOk<R> = R extends OkResult<infer T> ? T : never;

/** The error type of the Err half of a result type. */
export type ResultUnwrapErr<R> = R extends ErrResult<infer E> ? E : never;

type Primitive = string | number | bigint | boolean | null | undefined;

/**
 * Anything, spelled so that literals keep their types wherever they are inside it. `const` type parameters would do so
 * too, but make every array readonly, which no schema's type takes.
 */
type Literal<L> = L | object | [] | Literal<L>[] | { [key: string]: Literal<L> };

/** A result that went well. */
export function Ok<T extends Literal<L>, L extends Primitive = Primitive>(payload: T): OkResult<T>;
/** A result that went well, of a type nothing is known about. */
export function Ok<T>(payload: T): OkResult<T>;
export function Ok<T>(payload: T): OkResult<T> {
  return { ok: true, payload };
}

/** A result that failed: `{code, message, extras?}`. */
export function Err<
  E extends { code: C; message: string; extras?: Literal<L> | undefined },
  C extends string = string,
  L extends Primitive = Primitive,
>(payload: E): ErrResult<E>;
/** A result that failed, with extras nothing is known about. */
export function Err<E extends ErrorPayload>(payload: E): ErrResult<E>;
export function Err<E extends ErrorPayload>(payload: E): ErrResult<E> {
  return { ok: false, payload };
}

/**
 * The payload of a result that went well.
 * @throws {CallError} if it did not
 */
export function unwrapOrThrow<T, E extends ErrorPayload>(result: Result<T, E>): T {
  if (result.ok) return result.payload;
  throw new CallError(result.payload);
}

/** True for what the wire calls a result. The payload of an Ok may be absent: a property that is undefined is. */
export function isResult(value: unknown): value is Result<unknown, ErrorPayload> {
  if (typeof value !== 'object' || value === null || !('ok' in value)) return false;
  if (value.ok === true) return true;
  return value.ok === false && 'payload' in value && isErrorPayload(value.payload);
}
