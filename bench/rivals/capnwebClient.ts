import { WebSocket } from 'ws';
import { small, type Writing } from '../application.ts';
import type { ClientSide, Connected } from '../library.ts';
import { capnweb } from './capnwebPackage.ts';
import type { Api } from './capnwebWire.ts';

/** A source that is asked for the next message whenever there is room for it. */
function source({ ms, messages }: Writing): ReadableStream {
  const end = performance.now() + ms;
  let n = 0;
  return new ReadableStream({
    pull(controller) {
      if (n >= messages || performance.now() >= end) controller.close();
      else controller.enqueue(small(n++));
    },
  });
}

async function connect(port: number): Promise<Connected> {
  const api = capnweb.newWebSocketRpcSession<Api>(
    new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false }),
  );
  const connected: Connected = {
    echo: (message) => api.echo(message),
    echoBytes: (bytes) => api.echoBytes(bytes),
    async download(writing, onMessage) {
      const reader = (await api.download(writing)).getReader();
      while (!(await reader.read()).done) onMessage();
    },
    upload: (writing) => api.upload(source(writing)),
    subscribe: (onEvent) => api.subscribe(() => onEvent()),
    publish: (message) => api.publish(message),
  };
  await connected.echo(small(0));
  return connected;
}

/** Cap'n Web, in a clients' process. */
export const client: ClientSide = { connect };
