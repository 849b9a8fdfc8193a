import { CodecError, MAX_NESTING } from './codec.ts';

/** What a codec can carry of everything that is `typeof 'object'`. */
export type PlainKind = 'array' | 'object' | 'bytes' | 'date';

/** Where an encoder is: the key or index taken at every level so far. Only the first `depth` entries count. */
export type Trail = (string | number)[];

/** Says how an object is carried, or undefined for one that is not plain data. */
export function plainKindOf(value: object): PlainKind | undefined {
  if (Array.isArray(value)) return 'array';
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return 'object';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Date) return 'date';
  // Of another realm (an iframe, a vm context): its Object.prototype is the one whose own prototype is null.
  if (ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]') return 'bytes';
  return Object.getPrototypeOf(prototype) === null ? 'object' : undefined;
}

/** Adds a field to an object under construction: `__proto__` too becomes data, as in JSON.parse, and calls no setter. */
export function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function kindName(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === undefined ? 'undefined' : `a ${typeof value}`;
  if (value instanceof Date) return 'an invalid Date';
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && name !== ''
    ? `an instance of ${name.slice(0, 40)}`
    : 'an object that is not plain';
}

function pathOf(trail: Trail, depth: number): string {
  let path = '';
  for (const step of trail.slice(0, depth)) {
    if (typeof step === 'number') path += `[${step}]`;
    else path += `${path === '' ? '' : '.'}${step.slice(0, 40)}`;
  }
  return path === '' ? 'the message' : path;
}

/** The error for a value that is not plain data: says where it is and what it is. */
export function notPlain(value: unknown, trail: Trail, depth: number): CodecError {
  return new CodecError(
    'CODEC_ENCODE',
    `${pathOf(trail, depth)}: expected null, a boolean, number, bigint, string, Uint8Array, valid Date, array or plain object, got ${kindName(value)}`,
  );
}

/** The error for what lies too deep, which is also how a circular structure ends. */
export function tooDeep(trail: Trail): CodecError {
  return new CodecError(
    'CODEC_ENCODE',
    `${pathOf(trail, 4)}…: expected at most ${MAX_NESTING} levels of objects and arrays, got more, or a circular structure`,
  );
}

/** What else may be thrown while a value is read, a getter's exception for example, as the one class a codec throws. */
export function asCodecError(code: CodecError['code'], codec: string, cause: unknown): CodecError {
  if (cause instanceof CodecError) return cause;
  const doing = code === 'CODEC_ENCODE' ? 'reading the value threw' : 'reading the bytes threw';
  return new CodecError(code, `${codec}: expected a whole message, but ${doing}`, { cause });
}
