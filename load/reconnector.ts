import { obey } from './commands.ts';
import { LoadClient } from './loadClient.ts';
import { memory } from './memory.ts';

/**
 * The process of one client that loses its connection over and over. Each time it sends a number and loses its socket
 * in the same turn; the server's echo can only come over the next connection.
 */
let client: LoadClient | undefined;
let cuts = 0;
let left = 0;
let done: () => void = () => undefined;

function cut(client: LoadClient): void {
  client.write(1);
  cuts += 1;
  // Most end with a reset, which leaves no port waiting; every fourth as a process does that closes.
  if (cuts % 4 === 0) client.socket?.destroy();
  else client.socket?.resetAndDestroy();
}

const commands = {
  memory,
  async connect({ port }: { port: number }): Promise<void> {
    const first = new LoadClient(port, 'client-0');
    client = first;
    await first.connect();
    // A connection that did not hold for a heartbeat counts as a failed dial: the backoff would grow to 32 s.
    first.transport.addEventListener('sessionTransition', ({ state }) => {
      if (state === 'BackingOff') first.transport.endBackoff();
    });
    first.open('echo');
    first.onMessage = () => {
      left -= 1;
      if (left > 0) cut(first);
      else done();
    };
  },
  /** That many reconnects, one after the other. */
  reconnect: ({ times }: { times: number }): Promise<void> =>
    new Promise((resolve, reject) => {
      if (client === undefined) return reject(new Error('connect first'));
      left = times;
      done = resolve;
      cut(client);
    }),
  figures: () => ({
    cuts,
    sessions: client?.sessions ?? 0,
    resent: client?.resent ?? 0,
    received: client?.received.received ?? 0,
    lost: client?.received.lost ?? 0,
    repeated: client?.received.repeated ?? 0,
  }),
};

/** What the client does when told. */
export type ReconnectorCommands = typeof commands;

obey(commands);
