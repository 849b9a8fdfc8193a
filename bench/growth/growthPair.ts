import { Worker } from '../../load/worker.ts';
import { audit } from '../audit.ts';
import type { Cores } from '../pair.ts';
import type { Bounds } from './bounds.ts';
import type { GrowthClientCommands } from './client.ts';
import type { GrowthServerCommands } from './server.ts';

/** A server and a client of ours, with bounds of their own. */
export class GrowthPair {
  readonly server: Worker<GrowthServerCommands>;
  readonly client: Worker<GrowthClientCommands>;
  #port = 0;

  private constructor(cores: Cores) {
    const script = (side: 'server' | 'client') => ({ script: new URL(`./${side}.js`, import.meta.url) });
    this.server = new Worker<GrowthServerCommands>('growth server', cores.server, script('server'));
    this.client = new Worker<GrowthClientCommands>('growth client', cores.client, script('client'));
  }

  static async start(cores: Cores, bounds: Bounds): Promise<GrowthPair> {
    const pair = new GrowthPair(cores);
    const { port } = await pair.server.ask('listen', bounds);
    pair.#port = port;
    await pair.client.ask('connect', { port, bounds });
    return pair;
  }

  /** Checks what it claims, and ends it. */
  async end(): Promise<void> {
    await audit({
      spoken: () => Promise.all([this.server.ask('spoken'), this.client.ask('spoken')]),
      talk: () => this.client.ask('talk', { port: this.#port }),
      checks: () => this.server.ask('checks'),
    });
    await Promise.all([this.server.kill(), this.client.kill()]);
  }
}
