import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createConnection, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import { type Codec, JsonCodec } from '../../../codec/index.ts';
import { createServer, type Server, type ServerOptions } from '../../../router/server.ts';
import type { ClientTransport } from '../../../transport/client.ts';
import { systemClock } from '../../../transport/clock.ts';
import type { ServerHandshake } from '../../../transport/handshake.ts';
import { UnixDomainSocketClientTransport } from '../../../transport/impls/unix/client.ts';
import { UnixConnection } from '../../../transport/impls/unix/connection.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../../transport/impls/unix/server.ts';
import { WebSocketClientTransport } from '../../../transport/impls/ws/client.ts';
import { WebSocketConnection } from '../../../transport/impls/ws/connection.ts';
import { WebSocketServerTransport } from '../../../transport/impls/ws/server.ts';
import type { ClientTransportOptions } from '../../../transport/options.ts';
import type { ServerTransport } from '../../../transport/server.ts';
import { BarePeer } from '../../support/barePeer.ts';
import { type Services, services } from '../../support/routerServices.ts';
import { HonestCaller } from './honest.ts';
import { watchProcess } from './watch.ts';

/** Both kinds of real socket. */
export const kinds = ['ws', 'unix'] as const;
/** One of {@link kinds}. */
export type Kind = (typeof kinds)[number];

const MAX_BARE_BYTES = 64 * 1024 * 1024;

/** What a site serves, and how. */
export interface SiteOptions {
  server?: ConstructorParameters<typeof WebSocketServerTransport>[2];
  router?: ServerOptions;
  handshake?: ServerHandshake;
  /** What the honest client proves itself with. */
  honestMetadata?: unknown;
}

interface Listening {
  transport: ServerTransport;
  net: NetServer;
  address: string;
}

async function listenOnWs(options: SiteOptions): Promise<Listening> {
  const http = createHttpServer();
  const transport = new WebSocketServerTransport(undefined, 'SERVER', options.server);
  http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { transport, net: http, address: `ws://127.0.0.1:${port}/` };
}

async function listenOnUnix(options: SiteOptions): Promise<Listening> {
  const net = createNetServer();
  const address = join(tmpdir(), `holdfast-attack-${randomUUID().slice(0, 8)}.sock`);
  const transport = new UnixDomainSocketServerTransport(net, 'SERVER', options.server);
  await listenOnUnixSocket(net, address);
  return { transport, net, address };
}

/**
 * A server on a real socket with an honest client, who makes calls from beginning to end. Leaving the block asserts
 * that she noticed nothing, and that nothing reached the process.
 */
export class Site implements AsyncDisposable {
  readonly kind: Kind;
  readonly transport: ServerTransport;
  readonly address: string;
  readonly server: Server<Services>;
  readonly honest: HonestCaller;
  /** Sockets open on the server's side. */
  readonly sockets = new Set<Socket>();
  /** Sockets that were accepted so far. */
  accepted = 0;
  readonly #net: NetServer;
  readonly #process = watchProcess();

  private constructor(kind: Kind, { transport, net, address }: Listening, options: SiteOptions) {
    this.kind = kind;
    this.transport = transport;
    this.address = address;
    this.#net = net;
    net.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.server = createServer(transport, services, options.router);
    if (options.handshake !== undefined) transport.setHandshake(options.handshake);
    this.honest = new HonestCaller(this.client({}, 'honest'), options.honestMetadata);
  }

  static async open(kind: Kind, options: SiteOptions = {}): Promise<Site> {
    const listening = await (kind === 'ws' ? listenOnWs(options) : listenOnUnix(options));
    const site = new Site(kind, listening, options);
    await site.honest.begin();
    return site;
  }

  /** A client of the library, not yet connected. */
  client(options: ClientTransportOptions = {}, clientId?: string): ClientTransport {
    return this.kind === 'ws'
      ? new WebSocketClientTransport(() => new WebSocket(this.address), clientId, options)
      : new UnixDomainSocketClientTransport(this.address, clientId, options);
  }

  /** A connection spoken by hand. */
  async dial(codec: Codec = JsonCodec): Promise<BarePeer> {
    if (this.kind === 'unix') {
      return new BarePeer(new UnixConnection(await this.socket(), MAX_BARE_BYTES, systemClock), codec);
    }
    const ws = new WebSocket(this.address);
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    return new BarePeer(new WebSocketConnection(ws, systemClock), codec);
  }

  /** A socket to the server, in which nothing has been said. */
  async socket(): Promise<Socket> {
    const url = this.kind === 'ws' ? new URL(this.address) : undefined;
    const socket =
      url === undefined ? createConnection(this.address) : createConnection(Number(url.port), url.hostname);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.removeAllListeners('error').on('error', () => undefined);
    return socket;
  }

  /** Another round of calls, the same session, and nothing in the process. */
  async expectUnharmed(): Promise<void> {
    await this.honest.expectNoticedNothing();
    expect(this.transport.getStatus()).toBe('open');
    expect(this.#process.seen).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.expectUnharmed();
    } finally {
      await this.honest.end();
      await this.server.close();
      this.transport.close();
      this.#process[Symbol.dispose]();
      for (const socket of this.sockets) socket.destroy();
      await new Promise((resolve) => this.#net.close(resolve));
    }
  }
}
