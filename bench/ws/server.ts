import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { listen } from '../../load/listening.ts';
import type { Small } from '../application.ts';
import type { ServerSide } from '../library.ts';
import type { Request, Response } from './wire.ts';
import { writeSmall } from './writing.ts';

const http = createServer();
const wss = new WebSocketServer({ server: http, perMessageDeflate: false });
const subscribers = new Set<WebSocket>();

wss.on('connection', (ws) => {
  const uploads = new Map<number, number>();
  const send = (response: Response) => ws.send(JSON.stringify(response));
  ws.on('error', (error) => console.error(error));
  ws.on('close', () => subscribers.delete(ws));
  ws.on('message', (bytes: Buffer, isBinary) => {
    // Bytes go back as they came, with the id before them.
    if (isBinary) return ws.send(bytes);
    const request = JSON.parse(bytes.toString()) as Request; // our own client
    const { id } = request;
    if (!('op' in request)) return void uploads.set(id, (uploads.get(id) ?? 0) + 1);
    switch (request.op) {
      case 'echo':
        return send({ id, p: request.p });
      case 'publish':
        publish(request.p);
        return send({ id, done: true });
      case 'download':
        return void writeSmall(ws, id, request.p).then(() => send({ id, done: true }));
      case 'subscribe':
        subscribers.add(ws);
        return send({ id, done: true });
      case 'upload':
        return void uploads.set(id, 0);
      case 'uploaded':
        send({ id, done: true, count: uploads.get(id) ?? 0 });
        return void uploads.delete(id);
      default:
        return request satisfies never;
    }
  });
});

function publish(message: Small): void {
  const text = JSON.stringify({ event: message } satisfies Response);
  for (const subscriber of subscribers) subscriber.send(text);
}

/** Plain `ws`, in a server's process. */
export const server: ServerSide = {
  listen: () => listen(http, 0),
  publish,
  connected: () => wss.clients.size,
};
