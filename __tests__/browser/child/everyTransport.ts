import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createServer } from 'holdfast';
import { JsonCodec, MsgpackCodec } from 'holdfast/codec';
import type { ClientTransport, ClientTransportOptions, ServerTransport } from 'holdfast/transport';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import { UnixDomainSocketClientTransport } from 'holdfast/transport/unix/client';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from 'holdfast/transport/unix/server';
import { WebSocketClientTransport } from 'holdfast/transport/ws/client';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { WebSocket, WebSocketServer } from 'ws';
import { callEveryKind, type EveryKind } from '../everyKind.ts';
import { type Services, services } from '../services.ts';

/** What this process tells on its standard output. */
export interface ChildReport {
  /** Whether code may be generated from strings here. */
  generatesCode: boolean;
  /** By transport and codec. */
  outcomes: Record<string, EveryKind>;
}

/** A server's transport, how to reach it, and how to take it down. */
interface Place {
  transport: ServerTransport;
  client(options: ClientTransportOptions): ClientTransport;
  close(): void;
}

async function webSocketPlace(): Promise<Place> {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise<void>((resolve) => wss.once('listening', resolve));
  const address = wss.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    transport: new WebSocketServerTransport(wss, 'SERVER'),
    client: (options) => new WebSocketClientTransport(() => new WebSocket(`ws://127.0.0.1:${port}`), 'client', options),
    close: () => wss.close(),
  };
}

async function unixPlace(): Promise<Place> {
  const path = join(tmpdir(), `holdfast-${process.pid}.sock`);
  const net = createNetServer();
  await listenOnUnixSocket(net, path);
  return {
    transport: new UnixDomainSocketServerTransport(net, 'SERVER'),
    client: (options) => new UnixDomainSocketClientTransport(path, 'client', options),
    close: () => net.close(),
  };
}

async function memoryPlace(): Promise<Place> {
  const network = createMemoryNetwork();
  return {
    transport: network.createServerTransport('SERVER'),
    client: (options) => network.createClientTransport('client', options),
    close: () => undefined,
  };
}

function mayGenerateCode(): boolean {
  try {
    return typeof new Function('return 1') === 'function';
  } catch {
    return false;
  }
}

const outcomes: Record<string, EveryKind> = {};
for (const [name, open] of Object.entries({ ws: webSocketPlace, unix: unixPlace, memory: memoryPlace })) {
  for (const codec of [JsonCodec, MsgpackCodec]) {
    const place = await open();
    const server = createServer(place.transport, services);
    const clientTransport = place.client({ codec });
    outcomes[`${name} × ${codec.name}`] = await callEveryKind(createClient<Services>(clientTransport));
    await server.close();
    clientTransport.close();
    place.transport.close();
    place.close();
  }
}
const report: ChildReport = { generatesCode: mayGenerateCode(), outcomes };
process.stdout.write(JSON.stringify(report));
