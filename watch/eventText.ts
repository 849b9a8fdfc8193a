import { EventNotStorableError } from './errors.ts';

/*
 * Events as JSON text, and what JSON lacks.
 *
 *   bytes        {"$t": "<base64>"}     the object's only key; they come back as a Uint8Array
 *   a bigint     {"$b": "<decimal>"}    the object's only key
 *   your object  {"$t": 1, "$x": 2}  →  {"$$t": 1, "$$x": 2}: a key that begins with a dollar gets another one
 *
 * A property whose value is undefined is absent, -0 comes back as 0. Anything else that JSON would change or drop (NaN, an
 * infinity, a Date, a Map, an instance of a class, a function, undefined in an array) is refused when it is stored: an event
 * that comes back as something else is worse than one that is refused.
 */

const MAX_DEPTH = 64;

/** @throws {EventNotStorableError} for what would not come back as it is */
export function toEventText(event: unknown): string {
  return JSON.stringify(toPlain(event, '', 0));
}

/** What `toEventText` made a text of. */
export function fromEventText(text: string): unknown {
  const parsed: unknown = JSON.parse(text);
  // Without a key that begins with a dollar there is nothing to translate; a value that looks like one costs a walk.
  return text.includes('"$') ? fromPlain(parsed) : parsed;
}

function toPlain(value: unknown, path: string, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new EventNotStorableError(path, `something nested deeper than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new EventNotStorableError(path, String(value));
    case 'bigint':
      return { $b: String(value) };
    case 'object':
      return value === null ? null : plainObject(value, path, depth);
    default:
      throw new EventNotStorableError(path, typeof value);
  }
}

function plainObject(value: object, path: string, depth: number): unknown {
  if (value instanceof Uint8Array) return { $t: toBase64(value) };
  // Array.from, not map: a hole is as undefined as undefined.
  if (Array.isArray(value)) return Array.from(value, (item, at) => toPlain(item, `${path}/${at}`, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new EventNotStorableError(path, `an instance of ${value.constructor.name}`);
  const entries: [string, unknown][] = [];
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    entries.push([key.startsWith('$') ? `$${key}` : key, toPlain(member, `${path}/${key}`, depth + 1)]);
  }
  return Object.fromEntries(entries); // defines, so that a key `__proto__` is a key
}

function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const entries = Object.entries(value);
  const [first] = entries;
  if (first !== undefined && typeof first[1] === 'string') {
    if (first[0] === '$t') return fromBase64(first[1]);
    if (first[0] === '$b') return BigInt(first[1]);
  }
  return Object.fromEntries(
    entries.map(([key, member]) => [key.startsWith('$') ? key.slice(1) : key, fromPlain(member)]),
  );
}

const CHUNK = 8192;

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
