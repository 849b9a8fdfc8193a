import { setTimeout as pause } from 'node:timers/promises';
import type { BareClientsCommands } from './bareClients.ts';
import type { BareServerCommands } from './bareServer.ts';
import type { ClientsCommands } from './clients.ts';
import type { Memory } from './memory.ts';
import { bytes, type Conditions, Figures, integer, type Outcome, percent } from './outcome.ts';
import type { ServerCommands } from './server.ts';
import { Worker } from './worker.ts';

const CPU_WINDOW_MS = 25_000;
/** Every session has beaten by then, and every connection is settled. */
const SETTLE_MS = 6_000;
const CONNECT_MS = 120_000;

/** With fewer, what a process takes and gives back by itself is more than what they weigh. */
const ENOUGH_SESSIONS = 2_000;

const MOST_MEMORY = 1.2;
const MOST_CPU = 0.15;

interface Weighed {
  before: Memory;
  /** As it is, with whatever garbage there is. */
  running: Memory;
  /** After a garbage collection. */
  collected: Memory;
}

/** Sessions that do nothing: what they weigh, against bare connections of the same number, and what they cost. */
export async function idle(conditions: Conditions): Promise<Outcome> {
  const { sessions } = conditions;
  const bare = await weighBare(conditions);
  const { weighed, cpuShare, bytesPerSecond } = await weighSessions(conditions);
  const each = (of: (weighed: Weighed) => number, weighed: Weighed) => of(weighed) / sessions;
  const rss = ({ before, collected }: Weighed) => collected.rss - before.rss;
  const [ours, theirs] = [each(rss, weighed), each(rss, bare)];

  const figures = new Figures('idle');
  figures.note(`server RSS per bare ws connection (${integer(sessions)})`, bytes(theirs));
  figures.judgeIf(
    sessions >= ENOUGH_SESSIONS,
    `server RSS per session (${integer(sessions)})`,
    `${bytes(ours)} (${(ours / theirs).toFixed(2)} ×)`,
    `≤ ${bytes(theirs * MOST_MEMORY)} (${MOST_MEMORY} ×)`,
    ours <= theirs * MOST_MEMORY,
  );
  const running = ({ before, running }: Weighed) => running.rss - before.rss;
  figures.note(
    'the same without a garbage collection first',
    `${bytes(each(running, weighed))} and ${bytes(each(running, bare))} bare`,
  );
  const heap = ({ before, collected }: Weighed) => collected.heapUsed - before.heapUsed;
  figures.note('of it JavaScript heap', `${bytes(each(heap, weighed))} and ${bytes(each(heap, bare))} bare`);
  figures.atMost(`CPU of one core, over ${CPU_WINDOW_MS / 1_000} s`, cpuShare, MOST_CPU, percent);
  figures.note('answers to heartbeats that the server read', `${bytes(bytesPerSecond)} per second`);
  return { figures: figures.list, series: {} };
}

/** Both servers get the same: connections, time to settle, the window, and a collection. */
async function weighBare({ sessions, serverCore, clientCore, say }: Conditions): Promise<Weighed> {
  say(`idle: ${integer(sessions)} connections to a bare ws server`);
  const server = new Worker<BareServerCommands>('bareServer', serverCore);
  const clients = new Worker<BareClientsCommands>('bareClients', clientCore);
  try {
    const { port } = await server.ask('listen', { port: 0 });
    const before = await server.ask('memory', { collected: true });
    await clients.ask('connect', { port, count: sessions }, CONNECT_MS);
    await pause(SETTLE_MS + CPU_WINDOW_MS);
    const running = await server.ask('memory', { collected: false });
    const collected = await server.ask('memory', { collected: true });
    const { connections } = await server.ask('connections');
    if (connections !== sessions) throw new Error(`the bare server has ${connections} connections, not ${sessions}`);
    return { before, running, collected };
  } finally {
    await Promise.all([server.kill(), clients.kill()]);
  }
}

async function weighSessions({ sessions, serverCore, clientCore, say }: Conditions) {
  say(`idle: ${integer(sessions)} sessions`);
  const server = new Worker<ServerCommands>('server', serverCore);
  const clients = new Worker<ClientsCommands>('clients', clientCore);
  try {
    const { port } = await server.ask('listen', { port: 0 });
    const before = await server.ask('memory', { collected: true });
    await clients.ask('connect', { port, count: sessions }, CONNECT_MS);
    await pause(SETTLE_MS);
    const window = await server.ask('idle', { ms: CPU_WINDOW_MS });
    const running = await server.ask('memory', { collected: false });
    const collected = await server.ask('memory', { collected: true });
    if ((await server.ask('connected', { sessions, timeoutMs: 0 })) === undefined)
      throw new Error('idle sessions lost their connections');
    return { weighed: { before, running, collected }, ...window };
  } finally {
    await Promise.all([server.kill(), clients.kill()]);
  }
}
