import { type Client, createClient } from 'holdfast';
import type { ClientTransportOptions } from 'holdfast/transport';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import type { WebSocket } from 'ws';
import { openWebSocket } from '#default-websocket';
import { Gate } from '../gate.ts';
import type { Cut, Spoken } from '../library.ts';
import { spokenIn } from './extensions.ts';
import type { Services } from './services.ts';

const transports: WebSocketClientTransport[] = [];

/** A client as an application makes it, and a hand on the socket underneath. */
export interface Dialled {
  client: Client<Services>;
  transport: WebSocketClientTransport;
  cut: Cut;
}

/** @param onDial is handed the WebSocket of each dial */
export function dial(
  port: number,
  options: ClientTransportOptions = {},
  onDial: (ws: WebSocket) => void = () => undefined,
): Dialled {
  const gate = new Gate(port);
  let opened: () => void = () => undefined;
  const open = () => {
    // As `connect` does.
    const ws = openWebSocket(`ws://127.0.0.1:${port}`, { createConnection: gate.connect });
    ws.once('open', () => opened());
    onDial(ws);
    return ws;
  };
  const transport = new WebSocketClientTransport(open, undefined, options);
  transports.push(transport);
  const cut: Cut = {
    cut: () => gate.cut(),
    reopen: () =>
      new Promise((resolve) => {
        opened = () => resolve(performance.now());
        gate.open();
      }),
  };
  return { client: createClient<Services>(transport), transport, cut };
}

/** What all sessions of this process agreed on. */
export function spoken(): Spoken {
  return spokenIn(transports.flatMap(({ sessions }) => [...sessions.values()]));
}
