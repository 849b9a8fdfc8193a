import { once } from 'node:events';
import { WebSocket } from 'ws';
import { small } from '../application.ts';
import type { ClientSide, Connected } from '../library.ts';
import { ID_BYTES, type Request, type Response } from './wire.ts';
import { writeSmall } from './writing.ts';

async function connect(port: number): Promise<Connected> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  let nextId = 0;
  let onEvent: () => void = () => undefined;
  /** By id: who is told of what comes. Each knows what it asked for, and so what comes. */
  const waiting = new Map<number, (response: never) => void>();

  function ask<T>(request: Request): Promise<T> {
    return new Promise((resolve) => {
      waiting.set(request.id, (response: T) => {
        waiting.delete(request.id);
        resolve(response);
      });
      ws.send(JSON.stringify(request));
    });
  }

  ws.on('message', (bytes: Buffer, isBinary) => {
    if (isBinary) return waiting.get(bytes.readUInt32LE(0))?.(bytes.subarray(ID_BYTES) as never); // see waiting
    const response = JSON.parse(bytes.toString()) as Response; // our own server
    if ('event' in response) return onEvent();
    waiting.get(response.id)?.(response as never); // see waiting
  });
  await once(ws, 'open');
  ws.on('error', (error) => console.error(error));

  const connected: Connected = {
    echo: async (p) => (await ask<{ p: typeof p }>({ id: nextId++, op: 'echo', p })).p,
    echoBytes: (bytes) =>
      new Promise((resolve) => {
        const id = nextId++;
        waiting.set(id, (answer: Uint8Array) => {
          waiting.delete(id);
          resolve(answer);
        });
        const message = Buffer.allocUnsafe(ID_BYTES + bytes.length);
        message.writeUInt32LE(id);
        message.set(bytes, ID_BYTES);
        ws.send(message);
      }),
    download: (writing, onMessage) =>
      new Promise((resolve) => {
        const id = nextId++;
        waiting.set(id, (response: Response) => {
          if (!('done' in response)) return onMessage();
          waiting.delete(id);
          resolve();
        });
        ws.send(JSON.stringify({ id, op: 'download', p: writing } satisfies Request));
      }),
    async upload(writing) {
      const id = nextId++;
      ws.send(JSON.stringify({ id, op: 'upload' } satisfies Request));
      await writeSmall(ws, id, writing);
      return (await ask<{ count: number }>({ id, op: 'uploaded' })).count;
    },
    async subscribe(listener) {
      onEvent = listener;
      await ask({ id: nextId++, op: 'subscribe' });
    },
    publish: (p) => ask({ id: nextId++, op: 'publish', p }),
  };
  await connected.echo(small(0));
  return connected;
}

/** Plain `ws`, in a clients' process. */
export const client: ClientSide = { connect };
