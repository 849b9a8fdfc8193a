import type { Small, Writing } from '../application.ts';

/**
 * What two programs say to each other that have nothing but the `ws` package: JSON with request ids. No schema, no
 * session, no reconnect. Bytes travel as a binary message: four bytes of id before them.
 */
export type Request =
  | { id: number; op: 'echo' | 'publish'; p: Small }
  | { id: number; op: 'download'; p: Writing }
  | { id: number; op: 'subscribe' | 'upload' | 'uploaded' }
  /** One message of an upload. */
  | { id: number; p: Small };

/** To a client. */
export type Response =
  | { id: number; p: Small }
  | { id: number; done: true; count?: number }
  /** To a subscriber: the same text for all of them. */
  | { event: Small };

/** Of the id before bytes. */
export const ID_BYTES = 4;

/** More than this in a WebSocket's own buffer, and a writer waits until it is out. What holdfast's default is, too. */
export const HIGH_WATER_BYTES = 1024 * 1024;
