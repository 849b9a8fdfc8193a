/** What both sides of a call ask of its key. A browser's client reaches this file. */

/** Keys are kept as long as outcomes: this many UTF-16 units at most. */
export const MAX_KEY_LENGTH = 256;

/** A lone surrogate, which UTF-8 cannot carry: two keys could become one on the way. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What is wrong with a key, or undefined. */
export function keyFault(key: unknown): string | undefined {
  const wanted = `idempotencyKey: expected 1 to ${MAX_KEY_LENGTH} characters`;
  if (typeof key !== 'string') return `${wanted}, got ${key === null ? 'null' : typeof key}`;
  if (key === '' || key.length > MAX_KEY_LENGTH) return `${wanted}, got ${key.length}`;
  if (LONE_SURROGATE.test(key)) return 'idempotencyKey: expected a well-formed text, got a lone surrogate';
  return undefined;
}
