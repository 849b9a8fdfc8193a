import { createServer } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { obey } from './commands.ts';
import { listen } from './listening.ts';
import { memory } from './memory.ts';

/** What a session is compared with: a server of the `ws` package that reads, and does nothing else. */
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const http = createServer();
http.on('upgrade', (request, socket, head) => wss.handleUpgrade(request, socket, head, onConnection));
let messages = 0;

function onConnection(ws: WebSocket): void {
  ws.on('message', () => {
    messages += 1;
  });
  ws.on('error', () => undefined);
}

const commands = {
  listen: ({ port }: { port: number }) => listen(http, port),
  connections: () => ({ connections: wss.clients.size, messages }),
  memory,
};

/** What the bare server does when told. */
export type BareServerCommands = typeof commands;

obey(commands);
