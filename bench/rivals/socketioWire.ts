/** Packets in a connection's buffer from which on a writer waits: the library has no limit of its own. */
export const MOST_WAITING = 1_000;

/** Of the subscribers. */
export const ROOM = 'events';
