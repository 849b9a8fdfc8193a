import { Kind, type TSchema, Type } from '@sinclair/typebox';
import { flattenUnion, ReaderErrorSchema } from './errorSchemas.ts';
import type { AnyProcedure, ProcedureKind } from './procedures.ts';
import { type PayloadSchema, toJsonSchema } from './schema.ts';
import type { AnyServiceSchemaMap } from './services.ts';

/** A JSON Schema. */
export type JsonSchema = Record<string, unknown>;

/** A procedure as data. */
export interface SerializedProcedure {
  type: ProcedureKind;
  /** What a call begins with. */
  init: JsonSchema;
  /** What the caller sends then: uploads and streams. */
  input?: JsonSchema;
  output: JsonSchema;
  /** What it declares, and what every call can fail with. */
  errors: JsonSchema;
  description?: string;
}

/** A service as data. */
export interface SerializedService {
  procedures: Record<string, SerializedProcedure>;
}

/** Everything a server serves, as data: the shape River's tools read. */
export interface SerializedServer {
  services: Record<string, SerializedService>;
  handshakeSchema?: JsonSchema;
}

function errorsOf(declared: TSchema): JsonSchema {
  if (declared[Kind] === 'Never') return toJsonSchema(ReaderErrorSchema);
  return toJsonSchema(flattenUnion(Type.Union([declared, ReaderErrorSchema])));
}

function serializeProcedure(procedure: AnyProcedure): SerializedProcedure {
  const { type, requestInit, requestData, responseData, responseError, description } = procedure;
  const serialized: SerializedProcedure = {
    init: toJsonSchema(requestInit),
    output: toJsonSchema(responseData),
    errors: errorsOf(responseError),
    type,
  };
  if (description !== undefined) serialized.description = description;
  if (requestData !== undefined) serialized.input = toJsonSchema(requestData);
  return serialized;
}

/** Services as plain JSON: a JSON Schema for everything that crosses the wire. */
export function serializeSchema(services: AnyServiceSchemaMap, handshakeSchema?: PayloadSchema): SerializedServer {
  const entries = Object.entries(services).map(([serviceName, { procedures }]): [string, SerializedService] => {
    // The cast: procedures are made by Procedure.rpc and its like, which make nothing else.
    const each = Object.entries(procedures as Record<string, AnyProcedure>);
    return [serviceName, { procedures: Object.fromEntries(each.map(([name, it]) => [name, serializeProcedure(it)])) }];
  });
  const serialized: SerializedServer = { services: Object.fromEntries(entries) };
  if (handshakeSchema !== undefined) serialized.handshakeSchema = toJsonSchema(handshakeSchema);
  return serialized;
}
