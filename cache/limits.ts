// Apart from messages.ts: what only asks, as a page does, loads no schemas.

/**
 * Keys are at most so many characters; whoever has longer ones takes a hash of them. As long as the keys of a topic. Half of a
 * surrogate pair is no character: UTF-8 has no form for it, so that another key would arrive, and be dropped.
 */
export const MAX_KEY_LENGTH = 256;
/** So many hops between a caller and the owner; more means that a cache is, in the end, its own upstream. */
export const MAX_HOPS = 32;
