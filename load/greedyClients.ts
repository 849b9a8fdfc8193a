import { connect as connectSocket, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { WebSocket } from 'ws';
import { createClient } from '../router/client.ts';
import type { Client } from '../router/clientTypes.ts';
import { BufferBudget } from '../transport/budget.ts';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import { obey } from './commands.ts';
import type { GreedyServices } from './greedyServices.ts';
import { inWaves } from './waiting.ts';

/**
 * They share a core with the healthy, who would wait for them: what 3 000 clients in one process do at once, when their
 * beats come and when they dial again. Elsewhere they have a machine of their own.
 */
setPriority(constants.priority.PRIORITY_LOW);

const WIDTH = 50;
/** What is kept of what they do not read: small, for thousands of them live in this process. */
const WINDOW_BYTES = 8 * 1024;
/** Written to each that does not read, before the writer slows down. */
const ITEMS = 2_000;
/** Asked for by each that does not read its socket. */
const LONG_ANSWERS = 20;

/** What they do. */
export type Greed = 'a reader that stops' | 'a writer that does not heed it' | 'a socket that nobody reads';

interface Connected {
  client: Client<GreedyServices>;
  /** Of the connection of the moment. */
  socket: () => Socket | undefined;
}

/** A client of the library with a hand on the socket underneath. */
function connect(port: number, clientId: string, onConnected: (socket: Socket | undefined) => void): Connected {
  let socket: Socket | undefined;
  const createConnection = () => {
    socket = connectSocket({ port, host: '127.0.0.1' });
    return socket;
  };
  const dial = () => new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false, createConnection });
  const transport = new WebSocketClientTransport(dial, clientId, {
    readableHighWaterBytes: WINDOW_BYTES,
    budget: new BufferBudget(1024 * 1024),
  });
  transport.addEventListener('sessionTransition', ({ state }) => {
    if (state === 'Connected') onConnected(socket);
  });
  return { client: createClient<GreedyServices>(transport, 'SERVER'), socket: () => socket };
}

async function arrive(greed: Greed, port: number, clientId: string): Promise<void> {
  let isDeaf = false;
  // After a reconnect it goes on reading nothing.
  const { client, socket } = connect(port, clientId, (connection) => void (isDeaf && connection?.pause()));
  await client.greedy.echo.rpc({ n: 0, text: '' });
  switch (greed) {
    case 'a reader that stops':
      client.greedy.heeding.subscribe({});
      return;
    case 'a writer that does not heed it':
      client.greedy.heedless.subscribe({ items: ITEMS });
      return;
    case 'a socket that nobody reads':
      isDeaf = true;
      for (let n = 0; n < LONG_ANSWERS; n++) void client.greedy.long.rpc({});
      // What was asked for is on its way first.
      setImmediate(() => socket()?.pause());
      return;
    default:
      greed satisfies never;
  }
}

const commands = {
  arrive: ({ greed, port, count }: { greed: Greed; port: number; count: number }) =>
    inWaves(count, WIDTH, (i) => arrive(greed, port, `${greed}-${i}`)),
};

/** What the greedy do when told. */
export type GreedyClientsCommands = typeof commands;

obey(commands);
