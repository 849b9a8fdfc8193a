import { WebSocket } from 'ws';
import { obey } from './commands.ts';
import { inWaves } from './waiting.ts';

const open: WebSocket[] = [];

const commands = {
  connect: ({ port, count }: { port: number; count: number }) =>
    inWaves(
      count,
      200,
      () =>
        new Promise((resolve, reject) => {
          const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
          open.push(ws);
          ws.once('open', resolve);
          ws.once('error', reject);
        }),
    ),
};

/** What the bare clients do when told. */
export type BareClientsCommands = typeof commands;

obey(commands);
