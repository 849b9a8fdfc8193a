import { openWebSocket } from '#default-websocket';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import type { ClientTransportOptions } from '../transport/options.ts';
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

/** A client over a WebSocket, in browsers and elsewhere: the whole of it in one call. */
export function connect<Services extends Record<string, { readonly procedures: object }>>(
  url: string | URL,
  options: ConnectOptions = {},
): ConnectedClient<Services> {
  const { auth, clientId, serverId = 'SERVER', eagerlyConnect, connectOnInvoke, ...transportOptions } = options;
  const transport = new WebSocketClientTransport(() => openWebSocket(String(url)), clientId, transportOptions);
  const listeners = new Set<(status: ConnectStatus) => void>();
  let status: ConnectStatus = 'disconnected';
  const change = (next: ConnectStatus): void => {
    if (status === next || status === 'closed') return;
    status = next;
    for (const listener of [...listeners]) listener(next);
  };
  transport.addEventListener('sessionTransition', ({ state }) =>
    change(state === 'Connected' ? 'connected' : 'connecting'),
  );
  transport.addEventListener('sessionStatus', (event) => {
    if (event.status !== 'closed') return;
    const isFinal = event.end.code === 'handshake_rejected' || event.end.code === 'retries_exceeded';
    change(isFinal ? 'disconnected' : 'connecting');
  });
  transport.addEventListener('transportStatus', () => change('closed'));
  const construct = typeof auth === 'function' ? auth : () => auth;
  const handshakeOptions = auth === undefined ? undefined : createClientHandshakeOptions(construct as () => unknown); // a function of ours or theirs
  const client = createClient<Services>(transport, serverId, { eagerlyConnect, connectOnInvoke, handshakeOptions });
  return {
    client,
    transport,
    status: () => status,
    onStatus: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => transport.close(),
  };
}
