import type { Socket } from 'node:net';
import type { Kind, Site } from './site.ts';

/** A connection in which nothing was said. */
export interface Silent {
  socket: Socket;
  closed: Promise<void>;
}

const upgrade = [
  'GET / HTTP/1.1',
  'Host: site',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  '\r\n',
].join('\r\n');

async function silent(site: Site): Promise<Silent> {
  const socket = await site.socket();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (site.kind === 'ws') {
    const answered = new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.write(upgrade);
    await Promise.race([answered, closed]);
  }
  // Read, or the end of it would never be seen; what comes is of no interest.
  socket.resume();
  socket.on('end', () => socket.destroy());
  return { socket, closed };
}

/** Opens connections, a hundred at a time: the backlog of a Unix socket is small, each upgraded where there is something to upgrade. */
export async function crowd(site: Site, size: number): Promise<Silent[]> {
  const all: Silent[] = [];
  while (all.length < size) {
    const some = Math.min(100, size - all.length);
    const accepted = site.accepted + some;
    all.push(...(await Promise.all(Array.from({ length: some }, () => silent(site)))));
    await resolvesWhen(() => site.accepted >= accepted);
  }
  return all;
}

/** Writes one more byte of a frame that never ends to each, again and again, until it is disposed of. */
export function dripping(sockets: readonly Socket[], kind: Kind, everyMs: number): Disposable {
  // A binary frame of 125 bytes, or one of 2^20, and then its body.
  const head = kind === 'ws' ? [0x82, 0xfd, 0, 0, 0, 0] : [0, 0x0f, 0xff, 0xff];
  let sent = 0;
  const timer = setInterval(() => {
    const byte = Buffer.from([head[sent] ?? 0x7b]);
    sent += 1;
    for (const socket of sockets) if (!socket.destroyed) socket.write(byte);
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Resolves in the turn in which it is so; the test's own time bounds it. */
export async function resolvesWhen(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
