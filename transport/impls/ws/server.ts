import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { ConnectionDetails } from '../../connection.ts';
import { InvalidOptionsError } from '../../errors.ts';
import type { ServerTransportOptions } from '../../options.ts';
import { ServerTransport } from '../../server.ts';
import { closeQuietly, WebSocketConnection, type WebSocketLike } from './connection.ts';

/** {@link ServerTransportOptions}, and which pages may connect. */
export interface WebSocketServerTransportOptions extends ServerTransportOptions {
  /**
   * Origins that browsers may connect from, as in the `Origin` header. A page of any other origin gets 403 before the
   * upgrade; a client that sends no `Origin` is no browser and is let through. Default: not checked.
   * What no browser sends (a path, capitals, the scheme's own port) is an {@link InvalidOptionsError}.
   */
  allowedOrigins?: readonly string[] | undefined;
}

type ConnectionListener = (ws: WebSocketLike, request: IncomingMessage) => void;

/** What is used of a `ws` server. By its shape and not by name: whoever has none needs no types of it either. */
export interface WebSocketServerLike {
  on(event: 'connection', listener: ConnectionListener): unknown;
  off(event: 'connection', listener: ConnectionListener): unknown;
}

/** Policy violation, RFC 6455. */
const CLOSE_POLICY = 1008;

function detailsOf(request: IncomingMessage): ConnectionDetails {
  return { headers: request.headers, url: request.url, remoteAddress: request.socket.remoteAddress };
}

/** An origin that no browser sends would lock every page out, and nobody would see why. */
function checked(origins: readonly string[]): readonly string[] {
  for (const origin of origins) {
    const sent = originOf(origin);
    if (origin === sent) continue;
    const hint = sent === undefined ? 'an origin such as https://app.example' : `'${sent}', as browsers send it`;
    throw new InvalidOptionsError(`allowedOrigins: expected ${hint}, got '${origin}'`);
  }
  return origins;
}

/** As browsers send it. Theirs of an extension or an app has a scheme of its own; of a sandboxed page it is `null`. */
function originOf(text: string): string | undefined {
  if (text === 'null') return text;
  const [, scheme, host] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  if (!/^https?$/i.test(scheme)) return `${scheme}://${host}`;
  return URL.canParse(text) ? new URL(text).origin : undefined;
}

/**
 * A server over WebSocket. Give it a `ws` server; or none, and pass it upgrades ({@link handleUpgrade}) or WebSockets
 * ({@link accept}) of the server you have.
 */
export class WebSocketServerTransport extends ServerTransport {
  readonly #wss: WebSocketServerLike | undefined;
  readonly #allowedOrigins: ReadonlySet<string> | undefined;
  #upgrader: WebSocketServer | undefined;

  /** @param wss stays yours: closing the transport closes its connections and leaves `wss` listening */
  constructor(wss: WebSocketServerLike | undefined, clientId?: string, options: WebSocketServerTransportOptions = {}) {
    super(clientId, options);
    this.#wss = wss;
    this.#allowedOrigins = options.allowedOrigins === undefined ? undefined : new Set(checked(options.allowedOrigins));
    this.#wss?.on('connection', this.#onConnection);
  }

  readonly #onConnection: ConnectionListener = (ws, request) => {
    // The upgrade was somebody else's; handleUpgrade refuses before it.
    if (!this.#isAllowed(request)) return refuseOrigin(ws);
    this.acceptConnection(this.#connectionOf(ws, request));
  };

  #isAllowed({ headers }: Pick<ConnectionDetails, 'headers'>): boolean {
    const origin = headers?.['origin'];
    if (this.#allowedOrigins === undefined || origin === undefined) return true;
    return typeof origin === 'string' && this.#allowedOrigins.has(origin);
  }

  /**
   * Answers an `upgrade` request of your http server. Origins and sizes are checked before the 101.
   * @param socket owned by the transport from here on
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.getStatus() === 'closed') return refuse(socket, '503 Service Unavailable');
    if (!this.#isAllowed(request)) return refuse(socket, '403 Forbidden');
    this.#upgrader ??= new WebSocketServer({
      noServer: true,
      maxPayload: this.options.maxMessageBytes,
      perMessageDeflate: false,
    });
    this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.acceptConnection(this.#connectionOf(ws, request)));
  }

  #connectionOf(ws: WebSocketLike, request: IncomingMessage): WebSocketConnection {
    return new WebSocketConnection(ws, this.clock, () => detailsOf(request), request.socket);
  }

  /**
   * Takes over an open WebSocket of a server that upgrades by itself (Bun, Deno, a framework).
   * @param peer what a handshake validator will see of the connection; where `allowedOrigins` is set, give its headers:
   *   one of a foreign origin is closed with 1008
   */
  accept(ws: WebSocketLike, peer: ConnectionDetails = {}): void {
    if (this.getStatus() === 'closed') return closeQuietly(ws);
    if (!this.#isAllowed(peer)) return refuseOrigin(ws);
    this.acceptConnection(new WebSocketConnection(ws, this.clock, peer));
  }

  protected override onClose(): void {
    super.onClose();
    this.#wss?.off('connection', this.#onConnection);
    this.#upgrader?.close();
  }
}

function refuseOrigin(ws: WebSocketLike): void {
  ws.onerror = () => undefined;
  ws.close(CLOSE_POLICY, 'origin not allowed');
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => undefined);
  // Destroyed once it is written: a peer that never hangs up must not keep it.
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
