import type { WebSocketLike } from './connection.ts';

/** Opens a WebSocket with the platform's own. */
export function openWebSocket(url: string): WebSocketLike {
  return new WebSocket(url);
}
