import { setTimeout as pause } from 'node:timers/promises';
import type { Greed, GreedyClientsCommands } from './greedyClients.ts';
import type { GreedyServerCommands } from './greedyServer.ts';
import type { HealthyClientsCommands } from './healthyClients.ts';
import { type Conditions, Figures, integer, megabytes, milliseconds, type Outcome, percent } from './outcome.ts';
import { Worker } from './worker.ts';

/** Of each kind; fewer in a run with fewer sessions. */
const EACH = 1_000;
const HEALTHY = 50;
const GREEDS: readonly Greed[] = [
  'a reader that stops',
  'a writer that does not heed it',
  'a socket that nobody reads',
];

const SETTLE_MS = 3_000;
const WARM_UP_MS = 3_000;
const WINDOW_MS = 10_000;
const ARRIVE_MS = 120_000;

const MOST_LATENCY = 2;

/**
 * Peers that take and do not read, a thousand of each kind at once, until what sessions may hold is used up; what
 * others, who call now and then, notice of it.
 */
export async function greedy({ sessions, serverCore, clientCore, say }: Conditions): Promise<Outcome> {
  const each = Math.min(EACH, sessions);
  say(`greedy: ${integer(HEALTHY)} healthy sessions, and ${integer(each)} of each kind that is not`);
  const server = new Worker<GreedyServerCommands>('greedyServer', serverCore);
  const greedyClients = new Worker<GreedyClientsCommands>('greedyClients', clientCore);
  const healthy = new Worker<HealthyClientsCommands>('healthyClients', clientCore);
  try {
    const { port } = await server.ask('listen', { port: 0 });
    await healthy.ask('connect', { port, count: HEALTHY });
    await healthy.ask('call', { ms: WARM_UP_MS });
    const before = await healthy.ask('call', { ms: WINDOW_MS });

    const arriving = (async () => {
      for (const greed of GREEDS) await greedyClients.ask('arrive', { greed, port, count: each }, ARRIVE_MS);
    })();
    const meanwhile = healthy.ask('call', { ms: WINDOW_MS });
    await arriving;
    const during = await meanwhile;
    await pause(SETTLE_MS);
    const cpuBefore = await server.ask('cpuTime');
    const after = await healthy.ask('call', { ms: WINDOW_MS });
    const cpuShare = ((await server.ask('cpuTime')) - cpuBefore) / (WINDOW_MS / 1_000);
    const { sessions: open, budgetBytes, mostHeld, refusals } = await server.ask('figures');
    const { peakRss } = await server.ask('memory', { collected: false });

    const figures = new Figures('greedy');
    figures.note('greedy sessions', integer(open - HEALTHY));
    figures.note('writers that were refused', integer(refusals));
    figures.judge(
      'held by all sessions, at most',
      megabytes(mostHeld),
      `≤ ${megabytes(budgetBytes)}, and more than half of it`,
      mostHeld <= budgetBytes && mostHeld > budgetBytes / 2,
    );
    const print = (of: typeof before) =>
      `${milliseconds(of.p50)}, ${milliseconds(of.p99)}, ${milliseconds(of.most)} of ${integer(of.calls)}`;
    figures.note('a healthy call before them: median, p99, longest', print(before));
    figures.note('while they arrive', print(during));
    figures.note('beside them', print(after));
    figures.atMost('p99 beside them', after.p99, MOST_LATENCY * before.p99, milliseconds);
    figures.note('of its core, the server uses beside them', percent(cpuShare));
    figures.note("the server's RSS at its peak", megabytes(peakRss));
    return { figures: figures.list, series: {} };
  } finally {
    await Promise.all([server.kill(), greedyClients.kill(), healthy.kill()]);
  }
}
