import type { ReaderError } from './errors.ts';
import type { ResultUnwrapOk } from './result.ts';
import type { Infer, PayloadSchema } from './schema.ts';

/**
 * Types of the parts of a service's procedures: `ProcInit<typeof math, 'add'>`. They take a service definition or a
 * service of a server.
 */

/** Anything with procedures. */
export interface HasProcedures {
  readonly procedures: object;
}

type Schema<P, Key extends string> = P extends { readonly [K in Key]: infer S extends PayloadSchema }
  ? Infer<S>
  : never;

/** What a call of a procedure begins with. */
export type ProcInit<S extends HasProcedures, Name extends keyof S['procedures']> = Schema<
  S['procedures'][Name],
  'requestInit'
>;

/** What the caller of an upload or stream sends; never for the other kinds. */
export type ProcRequest<S extends HasProcedures, Name extends keyof S['procedures']> = Schema<
  S['procedures'][Name],
  'requestData'
>;

/** What a procedure answers when all goes well. */
export type ProcResponse<S extends HasProcedures, Name extends keyof S['procedures']> = Schema<
  S['procedures'][Name],
  'responseData'
>;

/** What a call of a procedure can fail with: what it declares, and what every call can. */
export type ProcErrors<S extends HasProcedures, Name extends keyof S['procedures']> =
  | Schema<S['procedures'][Name], 'responseError'>
  | ReaderError;

/** The type of a procedure's handler. */
export type ProcHandler<S extends HasProcedures, Name extends keyof S['procedures']> = S['procedures'][Name] extends {
  readonly handler: infer H;
}
  ? H
  : never;

/** The kind of a procedure. */
export type ProcType<S extends HasProcedures, Name extends keyof S['procedures']> = S['procedures'][Name] extends {
  readonly type: infer T;
}
  ? T
  : never;

/** What a readable yields when all goes well. */
type ReadableData<R> = R extends { collect(): Promise<(infer Item)[]> } ? ResultUnwrapOk<Item> : never;

/** What a client's method gives when all goes well: `ResponseData<typeof client, 'math', 'add'>`. */
export type ResponseData<
  C,
  ServiceName extends keyof C,
  ProcedureName extends keyof C[ServiceName],
> = C[ServiceName][ProcedureName] extends { rpc(...args: never): Promise<infer R> }
  ? ResultUnwrapOk<R>
  : C[ServiceName][ProcedureName] extends { upload(...args: never): { finalize(): Promise<infer R> } }
    ? ResultUnwrapOk<R>
    : C[ServiceName][ProcedureName] extends { subscribe(...args: never): { resReadable: infer R } }
      ? ReadableData<R>
      : C[ServiceName][ProcedureName] extends { stream(...args: never): { resReadable: infer R } }
        ? ReadableData<R>
        : never;
