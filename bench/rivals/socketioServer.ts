import { once } from 'node:events';
import { createServer } from 'node:http';
import { listen } from '../../load/listening.ts';
import { type Small, type Writing, writeAs } from '../application.ts';
import type { ServerSide } from '../library.ts';
import { rival } from './packages.ts';
import { MOST_WAITING, ROOM } from './socketioWire.ts';

const { Server } = rival<typeof import('socket.io')>('socket.io');
const http = createServer();
let io: InstanceType<typeof Server> | undefined;

function publish(message: Small): void {
  io?.to(ROOM).emit('event', message);
}

/** Socket.IO, in a server's process. WebSockets from the beginning; recovery only where it is what is measured. */
export const server: ServerSide = {
  listen(recovers) {
    io = new Server(http, { transports: ['websocket'], ...(recovers ? { connectionStateRecovery: {} } : {}) });
    io.on('connection', (socket) => {
      let received = 0;
      socket.on('echo', (value: unknown, answer: (value: unknown) => void) => answer(value));
      socket.on('download', async (writing: Writing, done: () => void) => {
        const write = (message: Small) => {
          socket.emit('message', message);
          return socket.conn.writeBuffer.length < MOST_WAITING;
        };
        await writeAs(writing, write, () => once(socket.conn, 'drain'));
        done();
      });
      socket.on('item', () => {
        received += 1;
      });
      socket.on('uploaded', (answer: (count: number) => void) => {
        answer(received);
        received = 0;
      });
      socket.on('subscribe', (done: () => void) => {
        socket.join(ROOM);
        // Recovery begins with the first packet that has an offset.
        socket.emit('welcome');
        done();
      });
      socket.on('publish', (message: Small, done: () => void) => {
        publish(message);
        done();
      });
    });
    return listen(http, 0);
  },
  publish,
  connected: () => io?.engine.clientsCount ?? 0,
};
