// Apart from messages.ts: what only asks, as a page does, loads no schemas.

/**
 * Keys are at most so many characters; whoever has longer ones takes a hash of them. As long as the keys of a topic. Half of a
 * surrogate pair is no character: UTF-8 has no form for it, so that another key would arrive, and be dropped.
 */
export const MAX_KEY_LENGTH = 256;
/** So many hops between a caller and the owner; more means that a cache is, in the end, its own upstream. */
export const MAX_HOPS = 32;

/** What is wrong with a key; undefined if it is one. */
export function faultOfKey(key: unknown): string | undefined {
  if (typeof key !== 'string' || key.length > MAX_KEY_LENGTH) {
    const got = typeof key === 'string' ? `one of ${key.length}` : typeof key;
    return `expected a key of at most ${MAX_KEY_LENGTH} characters, got ${got}`;
  }
  return /\p{Surrogate}/u.test(key)
    ? 'expected a key of whole characters, got one with half of a surrogate pair'
    : undefined;
}
