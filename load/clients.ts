import { obey } from './commands.ts';
import { LoadClient } from './loadClient.ts';
import { memory } from './memory.ts';
import { Recorder, type Series } from './recorder.ts';
import { sumOf } from './sequence.ts';
import { holdUntil, inWaves, until } from './waiting.ts';

/** The process of many clients. */
const clients: LoadClient[] = [];
const even = () => clients.filter((_, i) => i % 2 === 0);
const odd = () => clients.filter((_, i) => i % 2 === 1);
let recorder: Recorder | undefined;

/** Sessions that were connected again since they were marked: the same ones, or others. */
const marked = new Map<LoadClient, string>();
const again = new Set<LoadClient>();

function mark(want: 'the same session' | 'another session'): void {
  again.clear();
  for (const client of clients) {
    const { sessionId } = client;
    marked.set(client, sessionId);
    client.onConnected = () => {
      if ((client.sessionId === sessionId) === (want === 'the same session')) again.add(client);
    };
  }
  recorder = new Recorder(() => again.size);
}

const commands = {
  memory,
  connect: ({ port, count }: { port: number; count: number }) =>
    inWaves(count, 200, (i) => {
      const client = new LoadClient(port, `client-${i}`);
      clients.push(client);
      return client.connect();
    }),
  open(): void {
    for (const client of clients) client.open('numbers');
  },
  write({ messages }: { messages: number }): void {
    for (const client of clients) client.write(messages);
  },
  /** From now on, what the odd ones send stays in this process: they read, and nobody hears of it. */
  corkOdd(): void {
    for (const { socket } of odd()) socket?.cork();
  },
  oddReceived: ({ each, timeoutMs }: { each: number; timeoutMs: number }) =>
    until(() => odd().every(({ received }) => received.received >= each), timeoutMs),
  /**
   * Stands still until `go` exists, so that what the server sends meanwhile is not read; then each client sends
   * `messages` and loses its socket, all in one turn.
   * @returns when the first one was cut, and how many messages were unacknowledged at least
   */
  cut({ messages, go }: { messages: number; go: string }): { at: number; fewestUnacked: number } {
    holdUntil(go, 30_000);
    mark('the same session');
    let fewestUnacked = Number.POSITIVE_INFINITY;
    for (const client of clients) {
      client.write(messages);
      fewestUnacked = Math.min(fewestUnacked, client.unacked);
      client.socket?.destroy();
    }
    return { at: recorder?.startedAt ?? 0, fewestUnacked };
  },
  /** From now on, counts clients that are connected with a session they did not have. */
  expectOthers: (): void => mark('another session'),
  /** When all marked ones were connected, in milliseconds since the epoch; undefined if they were not. */
  async connectedAgain({ timeoutMs }: { timeoutMs: number }): Promise<{ at: number | undefined; series: Series }> {
    const at = await until(() => again.size === clients.length, timeoutMs);
    return { at, series: recorder?.stop() ?? [] };
  },
  /** When every stream had received that many messages, in milliseconds since the epoch; undefined if it did not. */
  received: ({ each, timeoutMs }: { each: number; timeoutMs: number }) =>
    until(() => clients.every(({ received }) => received.received >= each), timeoutMs),
  figures() {
    const sum = (of: (client: LoadClient) => number) => clients.reduce((total, client) => total + of(client), 0);
    return {
      arrivals: sumOf(clients.map(({ received }) => received)),
      sessions: sum(({ sessions }) => sessions),
      resent: sum(({ resent }) => resent),
      streamEnds: sum(({ streamEnds }) => streamEnds),
      connected: sum(({ isConnected }) => Number(isConnected)),
      evenReceived: sumOf(even().map(({ received }) => received)).received,
    };
  },
};

/** What the clients do when told. */
export type ClientsCommands = typeof commands;

obey(commands);
