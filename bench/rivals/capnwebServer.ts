import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen } from '../../load/listening.ts';
import { type Small, small, type Writing } from '../application.ts';
import type { ServerSide } from '../library.ts';
import { capnweb } from './capnwebPackage.ts';
import type { Api, Listener } from './capnwebWire.ts';

const listeners = new Set<Listener>();

class BenchApi extends capnweb.RpcTarget implements Api {
  async echo(message: Small): Promise<Small> {
    return message;
  }

  async echoBytes(bytes: Uint8Array): Promise<Uint8Array> {
    return bytes;
  }

  /** Asked for the next one whenever there is room for it. */
  async download({ ms, messages }: Writing): Promise<ReadableStream<Small>> {
    const end = performance.now() + ms;
    let n = 0;
    return new ReadableStream<Small>({
      pull(controller) {
        if (n >= messages || performance.now() >= end) controller.close();
        else controller.enqueue(small(n++));
      },
    });
  }

  async upload(stream: ReadableStream<Small>): Promise<number> {
    let count = 0;
    const reader = stream.getReader();
    while (!(await reader.read()).done) count += 1;
    return count;
  }

  async subscribe(listener: Listener): Promise<void> {
    listeners.add(listener.dup());
  }

  async publish(message: Small): Promise<void> {
    for (const listener of listeners) void listener(message);
  }
}

const http = createServer();
const wss = new WebSocketServer({ server: http, perMessageDeflate: false });
wss.on('connection', (ws) => capnweb.newWebSocketRpcSession(ws, new BenchApi()));

/** Cap'n Web, in a server's process. */
export const server: ServerSide = { listen: () => listen(http, 0) };
