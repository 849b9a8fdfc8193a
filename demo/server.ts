import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { createServer } from 'holdfast';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { report } from './messages.ts';
import { transportOptions } from './options.ts';
import { demo } from './services.ts';

/** The server's process: one service behind a WebSocket and a Unix socket. `argv`: the socket's path. */
const path = process.argv[2] ?? '';

const webSocket = new WebSocketServerTransport(undefined, 'SERVER', transportOptions);
const http = createHttpServer();
http.on('upgrade', (request, socket, head) => webSocket.handleUpgrade(request, socket, head));

const net = createNetServer();
const unix = new UnixDomainSocketServerTransport(net, 'SERVER', transportOptions);

for (const transport of [webSocket, unix]) {
  transport.addEventListener('sessionTransition', ({ to, state, resent }) =>
    report({ type: 'state', side: 'server', link: to, state, resent }),
  );
}
createServer([webSocket, unix], { demo });

await listenOnUnixSocket(net, path);
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  report({ type: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 });
});
process.on('disconnect', () => process.exit(0));
