/** A server's process of a growth run: bounds far above the defaults, everything else as it comes. */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'holdfast';
import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
import { obey } from '../../load/commands.ts';
import { listen } from '../../load/listening.ts';
import { spokenIn } from '../holdfast/extensions.ts';
import { checks, counted, measured } from '../holdfast/services.ts';
import { type Bounds, budget } from './bounds.ts';
import { countingClock, timers } from './countingClock.ts';

let transport: WebSocketServerTransport | undefined;
let most = 0;

/** Looks now and then at how much is unacknowledged. */
function look(): void {
  for (const { core } of transport?.sessions.values() ?? []) most = Math.max(most, core.ledger.unackedCount);
}

const commands = {
  async listen(bounds: Bounds): Promise<{ port: number }> {
    const options = { ...bounds, budget, clock: countingClock };
    const made = new WebSocketServerTransport(undefined, 'SERVER', options);
    transport = made;
    createServer(made, { app: measured, counted });
    const http = createHttpServer();
    http.on('upgrade', (request, socket, head) => made.handleUpgrade(request, socket, head));
    setInterval(look, 5);
    return listen(http, 0);
  },
  /** The most messages that one session had unacknowledged, of all the times that somebody looked. */
  mostUnacknowledged: () => most,
  timersStarted: () => timers.started,
  spoken: () => spokenIn(transport?.sessions.values() ?? []),
  checks: () => ({ ...checks }),
};

/** What the server of a growth run does when told. */
export type GrowthServerCommands = typeof commands;

obey(commands);
