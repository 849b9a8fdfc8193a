import { fromBase64 } from './base64.ts';
import { fromDecimal, isCanonicalDecimal } from './decimal.ts';

/*
 * Bytes and bigints in JSON, and the data that looks like them.
 *
 *   {"$t": "<strict base64>"}      bytes: the object's single key
 *   {"$b": "<canonical decimal>"}  a bigint: the object's single key
 *
 * An object is a *look-alike* if its only keys are one of these two with such a value and, optionally, "$e" with a
 * string of nothing but dollar signs ("" included). User data that is a look-alike is escaped by one more dollar sign:
 *
 *   user data                    on the wire
 *   {"$b": "5"}                  {"$b": "5", "$e": ""}
 *   {"$b": "5", "$e": ""}        {"$b": "5", "$e": "$"}
 *   {"$b": "5", "$e": "$"}       {"$b": "5", "$e": "$$"}       and so on
 *
 * The reader takes one away again; a look-alike without "$e" is a value. Everything else is carried as it is:
 * {"$b": "x"}, {"$b": 5}, {"$t": "not base64"}, {"$b": "5", "note": 1}, {"$e": ""}.
 *
 * River takes every object with a "$t" or "$b" for a tag, whatever other keys it has. So all look-alikes reach a River
 * application as bytes or a bigint with or without the escape, and since "$t" and "$b" keep their well-formed values,
 * the escape never adds a decoding error. A River peer sees "$e" only where it would have been wrong anyway.
 */

const ONLY_DOLLARS = /^\$*$/;

function isTagValue(key: string, value: unknown): boolean {
  if (typeof value !== 'string') return false;
  return key === '$t' ? fromBase64(value) !== undefined : isCanonicalDecimal(value);
}

/**
 * Escapes an object that a reader would take for a tag or for an escape; every other object is returned as it is.
 * @param object with at least one key that begins with a dollar sign; keys whose value is undefined are not written
 */
export function escapeLookAlike(object: Record<string, unknown>): Record<string, unknown> {
  let tag: string | undefined;
  let marker: unknown;
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    if (key === '$e') marker = value;
    else if (tag === undefined && (key === '$t' || key === '$b')) tag = key;
    else return object;
  }
  if (tag === undefined || !isTagValue(tag, object[tag])) return object;
  if (marker === undefined) return { ...object, $e: '' };
  return typeof marker === 'string' && ONLY_DOLLARS.test(marker) ? { ...object, $e: `${marker}$` } : object;
}

/**
 * What a parsed object stands for: the bytes or the bigint of a tag, the user's object of an escape, or itself.
 * @param keys the object's own keys
 * @throws {CodecError} `CODEC_DECODE` if it is a bigint with too many digits
 */
export function fromTag(object: Record<string, unknown>, keys: string[]): unknown {
  const [first, second] = keys;
  if (keys.length === 1 && (first === '$t' || first === '$b')) {
    const value = object[first];
    if (typeof value !== 'string') return object;
    if (first === '$t') return fromBase64(value) ?? object;
    return isCanonicalDecimal(value) ? fromDecimal(value) : object;
  }
  if (keys.length !== 2 || (first !== '$e' && second !== '$e')) return object;
  const tag = first === '$e' ? second : first;
  const marker = object['$e'];
  if ((tag !== '$t' && tag !== '$b') || typeof marker !== 'string' || !ONLY_DOLLARS.test(marker)) return object;
  if (!isTagValue(tag, object[tag])) return object;
  return marker === '' ? { [tag]: object[tag] } : { ...object, $e: marker.slice(1) };
}
