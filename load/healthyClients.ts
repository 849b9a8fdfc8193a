import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createClient } from '../router/client.ts';
import type { Client } from '../router/clientTypes.ts';
import { unwrapOrThrow } from '../router/result.ts';
import { WebSocketClientTransport } from '../transport/impls/ws/client.ts';
import { obey } from './commands.ts';
import type { GreedyServices } from './greedyServices.ts';
import { TEXT } from './services.ts';

/** Between two calls of a client, on average. */
const PAUSE_MS = 50;

const clients: Client<GreedyServices>[] = [];

/** The latency that `share` of the calls do not exceed, in milliseconds. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const commands = {
  async connect({ port, count }: { port: number; count: number }) {
    for (let i = 0; i < count; i++) {
      const dial = () => new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      const client = createClient<GreedyServices>(new WebSocketClientTransport(dial, `healthy-${i}`), 'SERVER');
      unwrapOrThrow(await client.greedy.echo.rpc({ n: 0, text: TEXT }));
      clients.push(client);
    }
  },
  /** Each client calls now and then, for `ms`. A call that fails is a failure of the run. */
  async call({ ms }: { ms: number }) {
    const latencies: number[] = [];
    const end = performance.now() + ms;
    const run = async (client: Client<GreedyServices>) => {
      while (performance.now() < end) {
        await pause(2 * PAUSE_MS * Math.random());
        const before = performance.now();
        unwrapOrThrow(await client.greedy.echo.rpc({ n: latencies.length, text: TEXT }));
        latencies.push(performance.now() - before);
      }
    };
    await Promise.all(clients.map(run));
    const sorted = latencies.sort((a, b) => a - b);
    return { calls: sorted.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), most: quantile(sorted, 1) };
  },
};

/** What the healthy do when told. */
export type HealthyClientsCommands = typeof commands;

obey(commands);
