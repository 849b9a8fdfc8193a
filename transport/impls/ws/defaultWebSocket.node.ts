import { WebSocket } from 'ws';
import type { WebSocketLike } from './connection.ts';

/** Opens a WebSocket with the `ws` package: Node 20 has none of its own. */
export function openWebSocket(url: string): WebSocketLike {
  return new WebSocket(url, { perMessageDeflate: false });
}
