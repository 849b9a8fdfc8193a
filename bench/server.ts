/** A server's process: the library that its first argument names, and nothing of the others. */
import { obey } from '../load/commands.ts';
import { memory } from '../load/memory.ts';
import { until } from '../load/waiting.ts';
import { small } from './application.ts';
import { libraryNamed, sides } from './library.ts';
import { countSockets, socketBytes } from './sockets.ts';

countSockets();
const { server } = await sides[libraryNamed(process.argv[2])].server();

const commands = {
  listen: ({ recovers }: { recovers: boolean }) => server.listen(recovers),
  rss: async () => (await memory({ collected: false })).rss,
  socketBytes,
  /** Once every client is away, publishes to the subscribers. */
  async publishToAbsent({ messages, timeoutMs }: { messages: number; timeoutMs: number }): Promise<void> {
    if ((await until(() => server.connected?.() === 0, timeoutMs, 1)) === undefined)
      throw new Error('the client is not away');
    for (let n = 0; n < messages; n++) server.publish?.(small(n));
  },
  spoken: () => server.audit?.spoken(),
  checks: () => server.audit?.checks(),
};

/** What a server does when told. */
export type ServerCommands = typeof commands;

obey(commands);
