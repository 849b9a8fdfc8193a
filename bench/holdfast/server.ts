import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'holdfast';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { listen } from '../../load/listening.ts';
import type { ServerSide } from '../library.ts';
import { spokenIn } from './extensions.ts';
import { checks, counted, measured, publish } from './services.ts';

/** As the README has it, every option at its default. */
const transport = new WebSocketServerTransport(undefined, 'SERVER');
createServer(transport, { app: measured, counted });
const http = createHttpServer();
http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));

function connected(): number {
  let connected = 0;
  for (const { state } of transport.sessions.values()) if (state === 'Connected') connected += 1;
  return connected;
}

/** Ours, in a server's process. */
export const server: ServerSide = {
  listen: () => listen(http, 0),
  publish,
  connected,
  audit: {
    spoken: () => spokenIn(transport.sessions.values()),
    checks: () => ({ ...checks }),
  },
};
