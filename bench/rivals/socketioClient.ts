import { once } from 'node:events';
import { type Small, small, writeAs } from '../application.ts';
import type { ClientSide, Connected, Cut } from '../library.ts';
import { rival } from './packages.ts';
import { MOST_WAITING } from './socketioWire.ts';

const { io } = rival<typeof import('socket.io-client')>('socket.io-client');

async function connect(port: number): Promise<Connected> {
  const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true });
  const write = (message: Small) => {
    socket.emit('item', message);
    return socket.io.engine.writeBuffer.length < MOST_WAITING;
  };
  let reopened: Promise<number> = Promise.resolve(0);
  const cut: Cut = {
    // It dials again by itself, after half a second at least: the server has written by then.
    cut() {
      reopened = once(socket.io, 'open').then(() => performance.now());
      socket.io.engine.close();
    },
    reopen: () => reopened,
  };
  const connected: Connected = {
    echo: (message) => socket.emitWithAck('echo', message),
    echoBytes: (bytes) => socket.emitWithAck('echo', bytes),
    async download(writing, onMessage) {
      socket.on('message', onMessage);
      await socket.emitWithAck('download', writing);
      socket.off('message', onMessage);
    },
    async upload(writing) {
      await writeAs(writing, write, () => once(socket.io.engine, 'drain'));
      return socket.emitWithAck('uploaded');
    },
    async subscribe(onEvent) {
      socket.on('event', onEvent);
      await socket.emitWithAck('subscribe');
    },
    publish: (message) => socket.emitWithAck('publish', message),
    cut,
  };
  await connected.echo(small(0));
  return connected;
}

/** Socket.IO, in a clients' process. */
export const client: ClientSide = { connect };
