import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'holdfast';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { reporter } from '../stage/report.ts';
import type { ServerReport } from './reports.ts';
import { createRooms } from './services.ts';

/** The rooms' process. */
const report = reporter<ServerReport>();
const transport = new WebSocketServerTransport(undefined, 'SERVER', { heartbeatIntervalMs: 250 });
createServer(transport, createRooms());

const http = createHttpServer();
http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  report({ type: 'listening', port: typeof address === 'object' && address !== null ? address.port : 0 });
});
