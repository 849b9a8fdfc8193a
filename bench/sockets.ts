import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const sockets = new Set<Socket>();

/** Counts from now on what goes over the sockets that this process accepts, whatever is spoken on them. */
export function countSockets(): void {
  subscribe('net.server.socket', (message) => {
    sockets.add((message as { socket: Socket }).socket); // by the channel's documentation
  });
}

/** Bytes in both directions, framing included, since the sockets were accepted. */
export function socketBytes(): number {
  let bytes = 0;
  for (const { bytesRead, bytesWritten } of sockets) bytes += bytesRead + bytesWritten;
  return bytes;
}
