import { Kind, type Static, type TSchema, Type, TypeGuard } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { Value, type ValueErrorIterator } from '@sinclair/typebox/value';
import { InvalidOptionsError } from '../transport/errors.ts';
import type { ValidationErrors } from './errors.ts';

/**
 * The one seam for how a payload is described. Everything else in the router knows a schema only by the names in this
 * file, so that another library (typebox 1.x, a Standard Schema validator) needs changes nowhere else.
 */

/** A description of a payload: TypeBox 0.34. */
export type PayloadSchema = TSchema;

/** The type that a schema describes. */
export type Infer<S extends PayloadSchema> = Static<S>;

/** A schema ready for the message path. */
export interface CompiledSchema {
  check(value: unknown): boolean;
  /** Where `value` does not fit: the first ten places, counted up to a hundred. */
  errors(value: unknown): ValidationErrors;
  /** A copy of a value that fits, without the properties the schema does not declare. */
  strip(value: unknown): unknown;
}

const MAX_SHOWN = 10;
const MAX_COUNTED = 100;
const MAX_PATH = 200;

// A peer chooses how wrong its payload is, so neither the walk nor the text may grow with it.
function boundedErrors(errors: ValueErrorIterator): ValidationErrors {
  const firstValidationErrors: ValidationErrors['firstValidationErrors'] = [];
  let totalErrors = 0;
  for (const { path, message } of errors) {
    totalErrors += 1;
    if (firstValidationErrors.length < MAX_SHOWN)
      firstValidationErrors.push({ path: path.slice(0, MAX_PATH), message });
    if (totalErrors === MAX_COUNTED) break;
  }
  return { firstValidationErrors, totalErrors };
}

/** Validation errors as one line of text, for a peer that is told nothing else and for logs. */
export function describeErrors({ firstValidationErrors, totalErrors }: ValidationErrors): string {
  const places = firstValidationErrors.map(({ path, message }) => `${path === '' ? '/' : path}: ${message}`).join('; ');
  const more = totalErrors - firstValidationErrors.length;
  return more > 0 ? `${places}; and ${more} more` : places;
}

abstract class TypeBoxSchema implements CompiledSchema {
  protected readonly schema: TSchema;
  constructor(schema: TSchema) {
    this.schema = schema;
  }
  abstract check(value: unknown): boolean;
  errors(value: unknown): ValidationErrors {
    return boundedErrors(Value.Errors(this.schema, value));
  }
  strip(value: unknown): unknown {
    return Value.Clean(this.schema, Value.Clone(value));
  }
}

/** Measured on an object of five properties: 3 ns a check. */
class GeneratedSchema extends TypeBoxSchema {
  readonly #compiled: TypeCheck<TSchema>;
  constructor(schema: TSchema) {
    super(schema);
    this.#compiled = TypeCompiler.Compile(schema);
  }
  check(value: unknown): boolean {
    return this.#compiled.Check(value);
  }
}

/** The same judgement without generated code: 246 ns a check. */
class WalkedSchema extends TypeBoxSchema {
  check(value: unknown): boolean {
    return Value.Check(this.schema, value);
  }
}

/**
 * Whether checks may be generated as code, found out once. In a browser the question alone is forbidden: a page's
 * content security policy reports the attempt. A document betrays one even where Node's globals exist too.
 */
function mayGenerateCode(): boolean {
  const host: { process?: { versions?: object }; Bun?: unknown; Deno?: unknown; document?: unknown } = globalThis;
  const isServer = host.process?.versions !== undefined || host.Bun !== undefined || host.Deno !== undefined;
  if (!isServer || host.document !== undefined) return false;
  try {
    TypeCompiler.Compile(Type.Null());
    return true;
  } catch (error) {
    if (error instanceof EvalError) return false; // node --disallow-code-generation-from-strings, edge workers
    throw error;
  }
}

let generates: boolean | undefined;
const compiled = new WeakMap<TSchema, CompiledSchema>();

/** What somebody gave who was asked for a schema: most likely one of another library, or of a TypeBox that is newer. */
function whatCame(given: unknown): string {
  if (typeof given === 'string') return `'${given}'`;
  if (typeof given !== 'object' || given === null) return typeof given === 'function' ? 'a function' : String(given);
  if (Kind in given) return 'one with a part that is none';
  const { '~kind': newer, '~standard': standard }: { '~kind'?: unknown; '~standard'?: { vendor?: unknown } } = given;
  if (newer !== undefined) return 'one of typebox 1.x';
  return standard?.vendor === undefined ? 'an object' : `one of ${standard.vendor}`;
}

/**
 * Makes a schema ready for the message path; the same schema is compiled once.
 * @param name what it describes, for the error
 * @throws {InvalidOptionsError} if it is no schema of TypeBox 0.34
 */
export function compileSchema(schema: PayloadSchema, name = 'a payload'): CompiledSchema {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  if (!TypeGuard.IsSchema(schema))
    throw new InvalidOptionsError(`${name}: expected a schema of @sinclair/typebox 0.34, got ${whatCame(schema)}`);
  generates ??= mayGenerateCode();
  const fresh = generates ? new GeneratedSchema(schema) : new WalkedSchema(schema);
  compiled.set(schema, fresh);
  return fresh;
}

/** The schema as plain JSON Schema: what is left of it after JSON. */
export function toJsonSchema(schema: PayloadSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema)) as Record<string, unknown>; // a schema is an object, so its JSON is one
}
