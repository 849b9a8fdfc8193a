import { Kind, type TLiteral, type TNever, type TSchema, type TString, type TUnion, Type } from '@sinclair/typebox';
import {
  CANCEL_CODE,
  DEADLINE_EXCEEDED_CODE,
  IDEMPOTENCY_KEY_REUSED_CODE,
  IDEMPOTENCY_STORE_FULL_CODE,
  IDEMPOTENCY_UNSUPPORTED_CODE,
  INVALID_REQUEST_CODE,
  OUTCOME_UNKNOWN_CODE,
  SESSION_BUFFER_FULL_CODE,
  UNCAUGHT_ERROR_CODE,
  UNEXPECTED_DISCONNECT_CODE,
} from './errors.ts';

/**
 * Schemas of errors. Apart from errors.ts because they need TypeBox at run time, which a browser's client does not load.
 */

/** One declared error: a literal code (or a union of them), a message, and extras if it likes. */
export interface ErrorObjectSchema extends TSchema {
  properties: {
    code: TLiteral<string> | TUnion<TLiteral<string>[]>;
    message: TString | TLiteral<string>;
    extras?: TSchema;
  };
}

/** Several declared errors, nested as deep as one likes. */
export interface ErrorUnionSchema extends TSchema {
  anyOf: ErrorSchema[];
}

/** What `responseError` takes. */
export type ErrorSchema = TNever | ErrorObjectSchema | ErrorUnionSchema;

const reservedError = <C extends string>(code: C) => Type.Object({ code: Type.Literal(code), message: Type.String() });

/** Every error a reader can meet without any procedure declaring it. */
export const ReaderErrorSchema = Type.Union([
  reservedError(UNCAUGHT_ERROR_CODE),
  reservedError(UNEXPECTED_DISCONNECT_CODE),
  Type.Object({
    code: Type.Literal(INVALID_REQUEST_CODE),
    message: Type.String(),
    extras: Type.Optional(
      Type.Object({
        firstValidationErrors: Type.Array(Type.Object({ path: Type.String(), message: Type.String() })),
        totalErrors: Type.Number(),
      }),
    ),
  }),
  reservedError(CANCEL_CODE),
  reservedError(DEADLINE_EXCEEDED_CODE),
  reservedError(SESSION_BUFFER_FULL_CODE),
  Type.Object({
    code: Type.Union([
      Type.Literal(OUTCOME_UNKNOWN_CODE),
      Type.Literal(IDEMPOTENCY_KEY_REUSED_CODE),
      Type.Literal(IDEMPOTENCY_STORE_FULL_CODE),
      Type.Literal(IDEMPOTENCY_UNSUPPORTED_CODE),
    ]),
    message: Type.String(),
  }),
]);

/** The type of {@link ReaderErrorSchema}. */
export type ReaderErrorSchema = typeof ReaderErrorSchema;

/** The leaves of a union of unions. */
export type ErrorLeaves<S> = S extends { anyOf: (infer M)[] } ? ErrorLeaves<M> : Extract<S, TSchema>;

/** What {@link flattenErrorType} makes of a schema. */
export type FlatError<S> = S extends { anyOf: unknown[] } ? TUnion<ErrorLeaves<S>[]> : S;

function isUnion(schema: TSchema): schema is TUnion {
  return schema[Kind] === 'Union';
}

/** The untyped half of {@link flattenErrorType}. */
export function flattenUnion(schema: TSchema): TSchema {
  if (!isUnion(schema)) return schema;
  const leaves: TSchema[] = [];
  const collect = (member: TSchema): void => {
    if (isUnion(member)) member.anyOf.forEach(collect);
    else leaves.push(member);
  };
  collect(schema);
  return Type.Union(leaves);
}

/** A union of unions of errors as one union, anything else as it is. Titles and descriptions of inner unions are lost. */
export function flattenErrorType<S extends ErrorSchema>(schema: S): FlatError<S> {
  return flattenUnion(schema) as FlatError<S>; // the type's two branches are those of flattenUnion
}
