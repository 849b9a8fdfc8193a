import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ClientsCommands } from './clients.ts';
import { type Conditions, Figures, integer, megabytes, type Outcome, seconds } from './outcome.ts';
import type { Arrivals } from './sequence.ts';
import type { ServerCommands } from './server.ts';
import { heldAt, until } from './waiting.ts';
import { Worker } from './worker.ts';

const MESSAGES = 10;
/** One each way before the cut, ten at the cut, one more when all is over. */
const IN_ALL = 1 + MESSAGES + 1;
/** Connections have held for longer than a heartbeat then: their loss does not count as a failed dial. */
const SETTLE_MS = 6_000;
const CONNECT_MS = 120_000;
/** How long to look: longer than the limit, to tell how far it is missed. */
const WATCH_MS = 40_000;

const MOST_RESUME_MS = 10_000;
const MOST_STALL_MS = 1_500;
const MOST_RSS = 400e6;

/**
 * Every connection is cut in one turn of the clients' process, with ten messages each way that nobody has confirmed. Of
 * the even sessions, the server's are lost on the way, and the clients' arrive without an answer; of the odd ones, the
 * server's arrive without an answer and the clients' are lost.
 */
export async function cut({ sessions, serverCore, clientCore, folder, say }: Conditions): Promise<Outcome> {
  say(`cut: ${integer(sessions)} sessions with a stream each`);
  const server = new Worker<ServerCommands>('server', serverCore);
  const clients = new Worker<ClientsCommands>('clients', clientCore);
  const both = (each: number, timeoutMs: number) =>
    Promise.all([
      server.ask('received', { streams: sessions, each, timeoutMs }, timeoutMs + 30_000),
      clients.ask('received', { each, timeoutMs }, timeoutMs + 30_000),
    ]);
  try {
    const { port } = await server.ask('listen', { port: 0 });
    await clients.ask('connect', { port, count: sessions }, CONNECT_MS);
    await clients.ask('open');
    await clients.ask('write', { messages: 1 });
    // A stream is there once its first message is.
    if ((await server.ask('received', { streams: sessions, each: 1, timeoutMs: 30_000 })) === undefined)
      throw new Error("the clients' first messages did not arrive");
    await server.ask('write', { messages: 1, of: ['even', 'odd'] });
    if ((await clients.ask('received', { each: 1, timeoutMs: 30_000 })) === undefined)
      throw new Error("the server's first messages did not arrive");
    await pause(SETTLE_MS);

    const beforeCut = await server.ask('memory', { collected: false });
    say('cut: now');
    await clients.ask('corkOdd');
    await server.ask('write', { messages: MESSAGES, of: ['odd'] });
    await clients.ask('oddReceived', { each: 1 + MESSAGES, timeoutMs: 30_000 });
    const go = join(folder, 'go');
    const cutting = clients.ask('cut', { messages: MESSAGES, go });
    if ((await until(() => existsSync(heldAt(go)), 30_000)) === undefined) throw new Error('the clients do not hold');
    await server.ask('write', { messages: MESSAGES, of: ['even'] });
    await server.ask('watch');
    await writeFile(go, '');
    const { at, fewestUnacked } = await cutting;

    const [again, connectedAt, [upAt, downAt]] = await Promise.all([
      clients.ask('connectedAgain', { timeoutMs: WATCH_MS }, WATCH_MS + 30_000),
      server.ask('connected', { sessions, timeoutMs: WATCH_MS }, WATCH_MS + 30_000),
      both(1 + MESSAGES, WATCH_MS),
    ]);
    const since = (...moments: (number | undefined)[]): number | undefined =>
      moments.reduce<number | undefined>(
        (latest, moment) => (latest === undefined || moment === undefined ? undefined : Math.max(latest, moment - at)),
        0,
      );
    // What comes again, or too late, would come before this.
    await clients.ask('write', { messages: 1 });
    await server.ask('write', { messages: 1, of: ['even', 'odd'] });
    await both(IN_ALL, 30_000);
    const atServer = await server.ask('figures');
    const atClients = await clients.ask('figures');
    const { peakRss } = await server.ask('memory', { collected: false });

    const figures = new Figures('cut');
    figures.judge(
      'messages unacknowledged at the cut, fewest of a session',
      `${fewestUnacked} up, ${atServer.fewestUnacked} down`,
      `≥ ${MESSAGES} and ${MESSAGES}`,
      fewestUnacked >= MESSAGES && atServer.fewestUnacked >= MESSAGES,
    );
    figures.exactly('connections the server lost', atServer.cuts, sessions);
    figures.atMost('all sessions resumed', since(again.at, connectedAt), MOST_RESUME_MS, seconds);
    figures.atMost('and all messages there', since(again.at, connectedAt, upAt, downAt), MOST_RESUME_MS, seconds);
    figures.exactly('sessions that are others', atServer.created + (atClients.sessions - sessions), 0);
    compare(figures, 'up', atServer.arrivals, sessions);
    compare(figures, 'down', atClients.arrivals, sessions);
    figures.note('messages carried again', `${integer(atClients.resent)} up, ${integer(atServer.resent)} down`);
    figures.atMost("longest stall of the server's event loop", atServer.stalledMs, MOST_STALL_MS, seconds);
    figures.note(
      "the server's RSS before the cut, and its peak until then",
      `${megabytes(beforeCut.rss)}, ${megabytes(beforeCut.peakRss)}`,
    );
    figures.atMost("the server's RSS at its peak, from start to end", peakRss, MOST_RSS, megabytes);
    return { figures: figures.list, series: { resumed: again.series } };
  } finally {
    await Promise.all([server.kill(), clients.kill()]);
  }
}

function compare(figures: Figures, way: string, { received, lost, repeated }: Arrivals, sessions: number): void {
  const sent = sessions * IN_ALL;
  figures.exactly(`messages received, ${way}`, received, sent);
  // What never came at the end leaves no gap.
  figures.exactly(`lost, ${way}`, Math.max(lost, sent - received), 0);
  figures.exactly(`repeated, ${way}`, repeated, 0);
}
