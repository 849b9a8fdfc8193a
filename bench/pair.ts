import { Worker } from '../load/worker.ts';
import type { ClientCommands } from './client.ts';
import type { LibraryName, Spoken } from './library.ts';
import type { ServerCommands } from './server.ts';

/** Cores to pin processes to; undefined: not pinned. */
export interface Cores {
  server: number | undefined;
  client: number | undefined;
}

/** A server and a clients' process of one library. */
export class Pair {
  readonly library: LibraryName;
  readonly server: Worker<ServerCommands>;
  readonly client: Worker<ClientCommands>;
  readonly port: number;

  private constructor(
    library: LibraryName,
    server: Worker<ServerCommands>,
    client: Worker<ClientCommands>,
    port: number,
  ) {
    this.library = library;
    this.server = server;
    this.client = client;
    this.port = port;
  }

  /** @param recovers with connections that can be recovered, where a library has that as an option */
  static async start(library: LibraryName, cores: Cores, recovers: boolean): Promise<Pair> {
    const worker = (side: 'server' | 'client') => ({
      script: new URL(`./${side}.js`, import.meta.url),
      scriptArguments: [library],
    });
    const server = new Worker<ServerCommands>(`${library} server`, cores.server, worker('server'));
    const client = new Worker<ClientCommands>(`${library} client`, cores.client, worker('client'));
    const { port } = await server.ask('listen', { recovers });
    return new Pair(library, server, client, port);
  }

  /**
   * Fails unless the sessions of both processes spoke what they must, and the server checks every message that is sent
   * and received. The latter is asked of a second service: the same procedures, handlers and schemas, on the same server
   * and transport, but for a part in each schema that counts. It is asked after the measurement, which it would slow.
   */
  async audit(): Promise<void> {
    const spoken = await Promise.all([this.server.ask('spoken'), this.client.ask('spoken')]);
    for (const side of spoken) if (side !== undefined) assertSpoken(side);
    const exchanged = await this.client.ask('talk', { port: this.port });
    const checks = await this.server.ask('checks');
    if (exchanged === undefined || checks === undefined) return;
    const { sent, received } = exchanged;
    if (checks.requests !== sent || checks.responses !== received) {
      throw new Error(
        `${sent} messages were sent and ${received} received, but ${checks.requests} and ${checks.responses} validated`,
      );
    }
  }

  async kill(): Promise<void> {
    await Promise.all([this.server.kill(), this.client.kill()]);
  }
}

function assertSpoken({ sessions, missing }: Spoken): void {
  if (sessions === 0) throw new Error('no session was there to be measured');
  if (missing.length > 0) throw new Error(`measured without an extension that must be spoken: ${missing[0]}`);
}
