import type { WebSocketLike } from './connection.ts';

/** Opens a WebSocket with the platform's own, which knows none of these options. */
export function openWebSocket(url: string, _options?: { maxPayload?: number }): WebSocketLike {
  return new WebSocket(url);
}
