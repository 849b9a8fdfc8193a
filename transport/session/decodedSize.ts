import { MAX_NESTING } from '../../codec/codec.ts';

/** What is counted for decoded values is at least one of so many parts of the memory that they take. */
const SWELLING = 8;

/** Bytes that they take in V8, on 64 bits, measured. What is not here takes at most twelve times its bytes. */
const MAP = 64;
const ARRAY = 40;
const ITEM = 8;
const BYTES = 200;
const DATE = 96;
const BIGINT = 32;

/**
 * What a decoded value counts for, if that is more than its bytes: a few bytes can become many objects, an empty map of one
 * byte 64. Texts and numbers count for nothing here, for they never become so much more than they were.
 */
export function decodedSize(value: unknown): number {
  return Math.ceil(memoryOf(value, 0) / SWELLING);
}

/** @param depth no codec of this library decodes deeper than is looked here; one of an application's may */
function memoryOf(value: unknown, depth: number): number {
  if (typeof value === 'bigint') return BIGINT;
  if (typeof value !== 'object' || value === null || depth > MAX_NESTING) return 0;
  let memory = ARRAY;
  if (Array.isArray(value)) {
    // By index: this is on the way of every message.
    for (let index = 0; index < value.length; index++) memory += ITEM + memoryOf(value[index], depth + 1);
    return memory;
  }
  if (ArrayBuffer.isView(value)) return BYTES;
  if (value instanceof Date) return DATE;
  memory = MAP;
  const object = value as Record<string, unknown>; // any other object may be read by name
  for (const key in object) memory += ITEM + memoryOf(object[key], depth + 1);
  return memory;
}
