import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createConnection, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import type { ClientTransport } from '../transport/client.ts';
import type { Clock } from '../transport/clock.ts';
import type { Connection } from '../transport/connection.ts';
import { createMemoryNetwork } from '../transport/impls/memory/network.ts';
import { UnixDomainSocketClientTransport } from '../transport/impls/unix/client.ts';
import { UnixConnection } from '../transport/impls/unix/connection.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../transport/impls/unix/server.ts';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import { WebSocketConnection } from '../transport/impls/ws/connection.ts';
import { WebSocketServerTransport } from '../transport/impls/ws/server.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../transport/options.ts';
import type { ServerTransport } from '../transport/server.ts';

/** Transports that every suite runs over. */
export const transportNames = ['memory', 'ws', 'unix'] as const;
/** One of {@link transportNames}. */
export type TransportName = (typeof transportNames)[number];

/** Frames of a bare connection may be larger than a server takes: that is tested, too. */
const MAX_BARE_BYTES = 64 * 1024 * 1024;

/** A place where servers listen and clients dial: real sockets, or a memory network. */
export interface Link {
  server(clientId: string, options: ServerTransportOptions): ServerTransport;
  client(clientId: string, options: ClientTransportOptions): ClientTransport;
  /** Breaks every connection, from outside of both ends. */
  cut(): void;
  /** While false, dials fail. */
  setReachable(isReachable: boolean): void;
  /** Sockets that are open on the server's side. */
  openSockets(): number;
  /** Listeners that transports put on what is not theirs: the socket server of the link. */
  openListeners(): number;
  /** Where the servers are: a URL, the path of a socket, or the name of a server in memory. */
  readonly address: string;
  /** Opens a bare connection to the server `to`, for whoever speaks frames by hand. */
  dial(to: string): Promise<Connection>;
  /** Takes every connection that is dialled to `to`, in the place of a server. Returns how to stop. */
  listen(to: string, onConnection: (connection: Connection) => void): () => void;
  close(): Promise<void>;
}

function memoryLink(clock: Clock): Link {
  const network = createMemoryNetwork({ clock });
  return {
    server: (clientId, options) => network.createServerTransport(clientId, options),
    client: (clientId, options) => network.createClientTransport(clientId, options),
    cut: () => network.cut(),
    setReachable: (isReachable) => {
      network.isReachable = isReachable;
    },
    openSockets: () => network.connectionCount,
    openListeners: () => network.serverCount,
    address: 'SERVER',
    dial: (to) => new Promise((resolve, reject) => network.connect(to, resolve, reject)),
    listen: (to, onConnection) => {
      const server = network.createServerTransport(to);
      server.accept = onConnection;
      return () => server.close();
    },
    close: () => Promise.resolve(),
  };
}

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
}

function cutAll(sockets: Set<Socket>): void {
  // No goodbye: the peer sees a connection that broke.
  for (const socket of sockets) {
    if ('resetAndDestroy' in socket && socket.remoteAddress !== undefined) socket.resetAndDestroy();
    else socket.destroy();
  }
}

async function wsLink(clock: Clock): Promise<Link> {
  const sockets = new Set<Socket>();
  const http = createHttpServer();
  http.on('connection', (socket) => track(sockets, socket));
  const wss = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let isReachable = true;
  // Port 1 refuses at once on every machine this runs on.
  const url = () => `ws://127.0.0.1:${isReachable ? port : 1}`;
  return {
    server: (clientId, options) => new WebSocketServerTransport(wss, clientId, options),
    client: (clientId, options) => new WebSocketClientTransport(() => new WebSocket(url()), clientId, options),
    cut: () => cutAll(sockets),
    setReachable: (value) => {
      isReachable = value;
    },
    openSockets: () => sockets.size,
    openListeners: () => wss.listenerCount('connection'),
    address: `ws://127.0.0.1:${port}`,
    dial: () =>
      new Promise((resolve, reject) => {
        const ws = new WebSocket(url());
        ws.once('open', () => resolve(new WebSocketConnection(ws, clock)));
        ws.once('error', reject);
      }),
    listen: (_to, onConnection) => {
      const accept = (ws: WebSocket) => onConnection(new WebSocketConnection(ws, clock));
      wss.on('connection', accept);
      return () => wss.off('connection', accept);
    },
    close: () =>
      new Promise((resolve) => {
        wss.close();
        http.close(() => resolve());
      }),
  };
}

async function unixLink(clock: Clock): Promise<Link> {
  const sockets = new Set<Socket>();
  const path = join(tmpdir(), `holdfast-${randomUUID().slice(0, 8)}.sock`);
  const server = createNetServer((socket) => track(sockets, socket));
  await listenOnUnixSocket(server, path);
  let isReachable = true;
  class Switchable extends UnixDomainSocketClientTransport {
    protected override dial(to: string) {
      const dial = super.dial(to);
      return isReachable ? dial : unreachable;
    }
  }
  return {
    server: (clientId, options) => new UnixDomainSocketServerTransport(server, clientId, options),
    client: (clientId, options) => new Switchable(path, clientId, options),
    cut: () => cutAll(sockets),
    setReachable: (value) => {
      isReachable = value;
    },
    openSockets: () => sockets.size,
    // One is the link's own.
    openListeners: () => server.listenerCount('connection') - 1,
    address: path,
    dial: () =>
      new Promise((resolve, reject) => {
        const socket = createConnection(path, () => resolve(new UnixConnection(socket, MAX_BARE_BYTES, clock)));
        socket.once('error', reject);
      }),
    listen: (_to, onConnection) => {
      const accept = (socket: Socket) => onConnection(new UnixConnection(socket, MAX_BARE_BYTES, clock));
      server.on('connection', accept);
      return () => server.off('connection', accept);
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function unreachable({ onError }: { onError: (error: unknown) => void }): () => void {
  onError(new Error('the link is switched off'));
  return () => undefined;
}

/** Opens a link of one kind. */
export function createLink(name: TransportName, clock: Clock): Link | Promise<Link> {
  switch (name) {
    case 'memory':
      return memoryLink(clock);
    case 'ws':
      return wsLink(clock);
    case 'unix':
      return unixLink(clock);
    default:
      return name satisfies never;
  }
}
