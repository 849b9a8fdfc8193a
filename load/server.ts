import { createServer as createHttpServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer } from '../router/server.ts';
import { WebSocketServerTransport } from '../transport/impls/ws/server.ts';
import { obey } from './commands.ts';
import { listen } from './listening.ts';
import { memory } from './memory.ts';
import { sumOf } from './sequence.ts';
import { lines, load } from './services.ts';
import { until } from './waiting.ts';

/** The server's process: the library as it comes, every option at its default. */
const transport = new WebSocketServerTransport(undefined, 'SERVER');
const http = createHttpServer();
http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
createServer(transport, { load });

let created = 0;
let cuts = 0;
let fewestUnacked = Number.POSITIVE_INFINITY;
let resent = 0;
transport.addEventListener('sessionStatus', ({ status }) => {
  if (status === 'created') created += 1;
});
transport.addEventListener('sessionTransition', (event) => {
  resent += event.resent;
  if (event.state !== 'NoConnection') return;
  cuts += 1;
  fewestUnacked = Math.min(fewestUnacked, event.session.core.ledger.unackedCount);
});

const loopDelay = monitorEventLoopDelay({ resolution: 10 });

/** Bytes read, all sessions together: of idle ones, the answers to heartbeats. */
function bytesRead(): number {
  let read = 0;
  for (const session of transport.sessions.values())
    if (session.state === 'Connected') read += session.connection.bytesRead ?? 0;
  return read;
}

function connected(): number {
  let connected = 0;
  for (const { state } of transport.sessions.values()) if (state === 'Connected') connected += 1;
  return connected;
}

const commands = {
  listen: ({ port }: { port: number }) => listen(http, port),
  memory,
  /** The share of one core that this process uses in `ms` milliseconds. */
  async idle({ ms }: { ms: number }) {
    const read = bytesRead();
    const startedAt = performance.now();
    const before = process.cpuUsage();
    await pause(ms);
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - startedAt) / 1_000;
    return { cpuShare: (user + system) / 1e6 / seconds, bytesPerSecond: (bytesRead() - read) / seconds };
  },
  /** Starts over with what {@link commands.figures} counts. */
  watch() {
    loopDelay.enable();
    loopDelay.reset();
    created = 0;
    cuts = 0;
    resent = 0;
    fewestUnacked = Number.POSITIVE_INFINITY;
  },
  /** Writes to the streams of the clients whose index says so, numbered on. */
  write({ messages, of }: { messages: number; of: readonly ('even' | 'odd')[] }) {
    for (const [clientId, line] of lines) {
      const parity = Number(clientId.slice(clientId.lastIndexOf('-') + 1)) % 2 === 0 ? 'even' : 'odd';
      if (of.includes(parity)) for (let i = 0; i < messages; i++) line.write();
    }
  },
  /** When that many streams had received that many messages each, in milliseconds since the epoch; undefined if it did not. */
  received: ({ streams, each, timeoutMs }: { streams: number; each: number; timeoutMs: number }) =>
    until(
      () => lines.size >= streams && [...lines.values()].every(({ received }) => received.received >= each),
      timeoutMs,
    ),
  /** When that many sessions were connected, in milliseconds since the epoch; undefined if they were not. */
  connected: ({ sessions, timeoutMs }: { sessions: number; timeoutMs: number }) =>
    until(() => connected() >= sessions, timeoutMs),
  figures: () => ({
    created,
    cuts,
    resent,
    fewestUnacked,
    arrivals: sumOf([...lines.values()].map(({ received }) => received)),
    /** The longest that the event loop stood still. */
    stalledMs: loopDelay.max / 1e6,
  }),
};

/** What the server does when told. */
export type ServerCommands = typeof commands;

obey(commands);
