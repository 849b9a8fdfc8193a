import { createConnection } from 'node:net';
import { WebSocket } from 'ws';
import { JsonCodec } from '../../../codec/index.ts';
import { systemClock } from '../../../transport/clock.ts';
import { UnixConnection } from '../../../transport/impls/unix/connection.ts';
import { WebSocketConnection } from '../../../transport/impls/ws/connection.ts';
import { BarePeer } from '../../support/barePeer.ts';
import type { Kind } from './site.ts';

const MAX_BARE_BYTES = 64 * 1024 * 1024;

/** A peer that goes on talking, and reads its socket when it likes. */
export interface DeafPeer extends Disposable {
  readonly peer: BarePeer;
  /** From now on nothing is read: what the server sends fills the kernel's buffers, and then the server's. */
  stopReading(): void;
  startReading(): void;
  /** A WebSocket's ping, which the other end answers below the library; nothing on a byte stream. */
  ping(payload: Uint8Array): void;
  /** True while the WebSocket, or the socket, has not been closed. */
  isOpen(): boolean;
}

/** Connects to the server at `address`, reading for now. */
export async function dialDeaf(kind: Kind, address: string): Promise<DeafPeer> {
  if (kind === 'unix') {
    const socket = createConnection(address);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined);
    return {
      peer: new BarePeer(new UnixConnection(socket, MAX_BARE_BYTES, systemClock), JsonCodec),
      stopReading: () => void socket.pause(),
      startReading: () => void socket.resume(),
      ping: () => undefined,
      isOpen: () => !socket.destroyed,
      [Symbol.dispose]: () => void socket.destroy(),
    };
  }
  const ws = new WebSocket(address);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return {
    peer: new BarePeer(new WebSocketConnection(ws, systemClock), JsonCodec),
    stopReading: () => ws.pause(),
    startReading: () => ws.resume(),
    ping: (payload) => ws.ping(payload),
    isOpen: () => ws.readyState === WebSocket.OPEN,
    [Symbol.dispose]: () => ws.terminate(),
  };
}
