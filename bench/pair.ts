import { Worker } from '../load/worker.ts';
import { audit } from './audit.ts';
import type { ClientCommands } from './client.ts';
import type { LibraryName } from './library.ts';
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

  /** @throws {Error} @see audit */
  audit(): Promise<void> {
    return audit({
      spoken: () => Promise.all([this.server.ask('spoken'), this.client.ask('spoken')]),
      talk: () => this.client.ask('talk', { port: this.port }),
      checks: () => this.server.ask('checks'),
    });
  }

  async kill(): Promise<void> {
    await Promise.all([this.server.kill(), this.client.kill()]);
  }
}
