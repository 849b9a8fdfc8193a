import { KeyCache } from '../codec/keyCache.ts';
import { readUtf8 } from '../codec/utf8.ts';

const encoder = new TextEncoder();
const decoded = new KeyCache();
const encoded = new Map<string, Uint8Array>();

/** Names of services and procedures are few, and the program's own: this many are kept in UTF-8. */
const MAX_KEPT = 1_000;

/** The UTF-8 of a name that is used again and again: encoding it each time is a tenth of a call. */
export function utf8OfName(name: string): Uint8Array {
  const known = encoded.get(name);
  if (known !== undefined) return known;
  const bytes = encoder.encode(name);
  if (encoded.size < MAX_KEPT && bytes.length <= KeyCache.MAX_LENGTH) encoded.set(name, bytes);
  return bytes;
}

/**
 * The text whose UTF-8 lies in `bytes` from `start`, one that is used again and again.
 * @throws {TypeError} if it is no UTF-8
 */
export function nameAt(bytes: Uint8Array, start: number, length: number): string {
  if (length > KeyCache.MAX_LENGTH) return readUtf8(bytes, start, start + length);
  return (
    decoded.find(bytes, start, length) ?? decoded.add(bytes, start, length, readUtf8(bytes, start, start + length))
  );
}
