import { createServer as createHttpServer } from 'node:http';
import { createServer } from '../router/server.ts';
import { BufferBudget } from '../transport/budget.ts';
import { WebSocketServerTransport } from '../transport/impls/ws/server.ts';
import { obey } from './commands.ts';
import { greedy, refusals } from './greedyServices.ts';
import { listen } from './listening.ts';
import { memory } from './memory.ts';

/** Less than the default, so that thousands use it up on a small machine, too. */
const BUDGET_BYTES = 64 * 1024 * 1024;

/** The server's process: every option but the budget at its default. */
const budget = new BufferBudget(BUDGET_BYTES);
const transport = new WebSocketServerTransport(undefined, 'SERVER', { budget });
const http = createHttpServer();
http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
createServer(transport, { greedy });

let mostHeld = 0;
setInterval(() => {
  mostHeld = Math.max(mostHeld, budget.heldBytes);
}, 5);

const commands = {
  listen: ({ port }: { port: number }) => listen(http, port),
  memory,
  /** Of this process since it began, in seconds. */
  cpuTime: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  figures: () => ({
    sessions: transport.sessions.size,
    budgetBytes: budget.maxBytes,
    mostHeld: Math.max(mostHeld, budget.heldBytes),
    refusals: refusals.count,
  }),
};

/** What the server does when told. */
export type GreedyServerCommands = typeof commands;

obey(commands);
