import { openWebSocket } from '#default-websocket';
import type { ClientTransport } from '../transport/client.ts';
import { InvalidOptionsError } from '../transport/errors.ts';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import type { ClientTransportOptions } from '../transport/options.ts';
import type { SessionEnd } from '../transport/stream.ts';
import { callSafely } from '../transport/thenable.ts';
import { type ClientOptions, createClient } from './client.ts';
import type { Client } from './clientTypes.ts';
import { createClientHandshakeOptions } from './handshake.ts';

/** Where a client stands: `disconnected` means that nothing is dialled again by itself, `closed` that nothing ever will. */
export type ConnectStatus = 'connecting' | 'connected' | 'disconnected' | 'closed';

/** Options of {@link connect}: those of the transport, those of the client, and who one is. */
export interface ConnectOptions extends ClientTransportOptions, Omit<ClientOptions, 'handshakeOptions'> {
  /** Handshake metadata, or what makes it anew for every handshake. */
  auth?: object | (() => unknown) | undefined;
  /** Our id; by default a random one. */
  clientId?: string | undefined;
  /** The server's id; `SERVER` by default. */
  serverId?: string | undefined;
}

/** A client with its own transport. */
export interface ConnectedClient<Services extends Record<string, { readonly procedures: object }>> {
  readonly client: Client<Services>;
  readonly transport: WebSocketClientTransport;
  readonly status: () => ConnectStatus;
  /** Calls `listener` at every change; returns how to stop that. */
  readonly onStatus: (listener: (status: ConnectStatus) => void) => () => void;
  /** Ends every call and connects no more. */
  readonly close: () => void;
}

/** Where a transport with one session at a time stands. */
class StatusOf {
  current: ConnectStatus = 'disconnected';
  readonly #transport: ClientTransport;
  readonly #listeners = new Set<(status: ConnectStatus) => void>();

  constructor(transport: ClientTransport) {
    this.#transport = transport;
    transport.addEventListener('sessionTransition', ({ state }) =>
      this.#change(state === 'Connected' ? 'connected' : 'connecting'),
    );
    transport.addEventListener('sessionStatus', (event) => {
      if (event.status === 'closed') this.#change(this.#after(event.end.code));
    });
    transport.addEventListener('transportStatus', () => this.#change('closed'));
  }

  listen(listener: (status: ConnectStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What the end of a session leads to. */
  #after(code: SessionEnd['code']): ConnectStatus {
    if (this.#transport.getStatus() === 'closed') return 'closed';
    return code === 'handshake_rejected' || code === 'retries_exceeded' ? 'disconnected' : 'connecting';
  }

  #change(status: ConnectStatus): void {
    if (this.current === status || this.current === 'closed') return;
    this.current = status;
    for (const listener of [...this.#listeners]) {
      callSafely(
        () => listener(status),
        (error) => this.#transport.logger.log('error', 'a listener of the status threw', { error }),
      );
    }
  }
}

/** Schemes that some WebSocket takes: those of http stand for those of ws, and `ws+unix:` is the `ws` package's own. */
const schemes = ['ws:', 'wss:', 'http:', 'https:', 'ws+unix:'];

/** The URL as text, if a WebSocket can be opened to it. Others would be dialled again and again, and nobody told why. */
function checkedUrl(url: string | URL): string {
  const text = String(url);
  const host: { location?: { href: string } } = globalThis; // a page's WebSocket takes what is relative to the page
  let scheme: string | undefined;
  try {
    scheme = new URL(text, host.location?.href).protocol;
  } catch {
    // What is no URL has no scheme.
  }
  if (scheme !== undefined && schemes.includes(scheme)) return text;
  throw new InvalidOptionsError(`expected a URL that begins with ws:// or wss://, got '${text}'`);
}

/**
 * A client over a WebSocket, in browsers and elsewhere: the whole of it in one call.
 * @throws {InvalidOptionsError} for options that contradict each other, and for what is no URL of a WebSocket
 */
export function connect<Services extends Record<string, { readonly procedures: object }>>(
  url: string | URL,
  options: ConnectOptions = {},
): ConnectedClient<Services> {
  const { auth, clientId, serverId = 'SERVER', eagerlyConnect, connectOnInvoke, ...transportOptions } = options;
  const address = checkedUrl(url);
  // Otherwise `ws` collects 100 MiB of a message before anybody looks at it.
  const dial = () => openWebSocket(address, { maxPayload: transport.options.maxMessageBytes });
  const transport: WebSocketClientTransport = new WebSocketClientTransport(dial, clientId, transportOptions);
  const state = new StatusOf(transport);
  const construct = typeof auth === 'function' ? auth : () => auth;
  const handshakeOptions = auth === undefined ? undefined : createClientHandshakeOptions(construct as () => unknown); // a function of ours or theirs
  const client = createClient<Services>(transport, serverId, { eagerlyConnect, connectOnInvoke, handshakeOptions });
  return {
    client,
    transport,
    status: () => state.current,
    onStatus: (listener) => state.listen(listener),
    close: () => transport.close(),
  };
}
