import { WebSocket } from 'ws';
import { small } from '../application.ts';
import type { ClientSide, Connected } from '../library.ts';
import { rival } from './packages.ts';

const { createTRPCClient, createWSClient, wsLink } = rival<typeof import('@trpc/client')>('@trpc/client');

/** Node 20 has no WebSocket of its own. */
class PlainWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { perMessageDeflate: false });
  }
}

/** No uploads, and over WebSockets no bytes. */
async function connect(port: number): Promise<Connected> {
  const ws = createWSClient({ url: `ws://127.0.0.1:${port}`, WebSocket: PlainWebSocket });
  const client = createTRPCClient({ links: [wsLink({ client: ws })] });
  const connected: Connected = {
    echo: (message) => client.echo.query(message),
    download: (writing, onMessage) =>
      new Promise((resolve, reject) =>
        client.download.subscribe(writing, { onData: onMessage, onComplete: resolve, onError: reject }),
      ),
    subscribe: (onEvent) =>
      new Promise((resolve, reject) =>
        client.events.subscribe(undefined, { onStarted: resolve, onData: onEvent, onError: reject }),
      ),
    publish: (message) => client.publish.mutate(message),
  };
  await connected.echo(small(0));
  return connected;
}

/** tRPC, in a clients' process. */
export const client: ClientSide = { connect };
