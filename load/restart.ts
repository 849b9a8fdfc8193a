import { setTimeout as pause } from 'node:timers/promises';
import type { ClientsCommands } from './clients.ts';
import { type Conditions, Figures, integer, type Outcome, seconds } from './outcome.ts';
import type { ServerCommands } from './server.ts';
import { wallMs } from './waiting.ts';
import { Worker } from './worker.ts';

const SETTLE_MS = 6_000;
const CONNECT_MS = 120_000;
/** How long to look: longer than the limit, to tell how far it is missed. */
const WATCH_MS = 60_000;

const MOST_MS = 20_000;

/** The server's process is killed and another one takes its port: everybody needs a new session. */
export async function restart({ sessions, serverCore, clientCore, say }: Conditions): Promise<Outcome> {
  say(`restart: ${integer(sessions)} sessions with a stream each`);
  let server = new Worker<ServerCommands>('server', serverCore);
  const clients = new Worker<ClientsCommands>('clients', clientCore);
  try {
    const { port } = await server.ask('listen', { port: 0 });
    await clients.ask('connect', { port, count: sessions }, CONNECT_MS);
    await clients.ask('open');
    await pause(SETTLE_MS);

    say('restart: now');
    await clients.ask('expectOthers');
    const at = wallMs();
    await server.kill();
    server = new Worker<ServerCommands>('server', serverCore);
    await server.ask('listen', { port });
    const listeningAt = wallMs();
    const [again, connectedAt] = await Promise.all([
      clients.ask('connectedAgain', { timeoutMs: WATCH_MS }, WATCH_MS + 30_000),
      server.ask('connected', { sessions, timeoutMs: WATCH_MS }, WATCH_MS + 30_000),
    ]);
    const atServer = await server.ask('figures');
    const atClients = await clients.ask('figures');

    const figures = new Figures('restart');
    const took = again.at === undefined || connectedAt === undefined ? undefined : Math.max(again.at, connectedAt) - at;
    figures.note('the new server listens after', seconds(listeningAt - at));
    figures.atMost('all have a new session after', took, MOST_MS, seconds);
    figures.exactly('new sessions at the server', atServer.created, sessions);
    figures.exactly('new sessions at the clients', atClients.sessions - sessions, sessions);
    figures.exactly('open streams that were told of the end, once', atClients.streamEnds, sessions);
    return { figures: figures.list, series: { renewed: again.series } };
  } finally {
    await Promise.all([server.kill(), clients.kill()]);
  }
}
