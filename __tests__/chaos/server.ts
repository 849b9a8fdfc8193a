import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { createServer } from '../../router/server.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../transport/impls/unix/server.ts';
import { WebSocketServerTransport } from '../../transport/impls/ws/server.ts';
import { report } from './numbers.ts';
import { transportOptions } from './options.ts';
import { chaos, reportProgress } from './services.ts';

/** The server's process. `argv`: the path of its Unix socket, the port of its WebSockets (0: any). */
const [, , path = '', port = '0'] = process.argv;
const webSocket = new WebSocketServerTransport(undefined, 'SERVER', transportOptions);
const http = createHttpServer();
http.on('upgrade', (request, socket, head) => webSocket.handleUpgrade(request, socket, head));
const net = createNetServer();
const unix = new UnixDomainSocketServerTransport(net, 'SERVER', transportOptions);
createServer([webSocket, unix], { chaos });
await listenOnUnixSocket(net, path);
http.listen(Number(port), '127.0.0.1', () => {
  const address = http.address();
  report({ type: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 });
});
setInterval(reportProgress, 100);
process.on('disconnect', () => process.exit(0));
