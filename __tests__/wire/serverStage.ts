import { createServer, type Server } from '../../router/server.ts';
import { show } from './deviation.ts';
import { RawConnection, RawServerTransport } from './rawTransports.ts';
import { codecs, type Recording } from './recording.ts';
import type { Scenario } from './scenario.ts';
import { handshakeOptions, services } from './services.ts';
import { Stage } from './stage.ts';

/** Which codec our server would choose: it must answer in the recording's all the same. */
export type Preference = 'the codec of its client' | 'the other codec';

/** Our server, before a recorded client. */
export class ServerStage extends Stage {
  override readonly side = 'server';
  protected override readonly transport: RawServerTransport;
  readonly #server: Server<typeof services>;

  constructor({ codec: recorded }: Recording, scenario: Scenario, preference: Preference) {
    super(recorded, scenario);
    const { clock } = this;
    const other = codecs.find((codec) => codec !== recorded);
    const codec = preference === 'the other codec' ? other : recorded;
    this.transport = new RawServerTransport('SERVER', { clock, codec });
    this.transport.addEventListener('protocolError', this.onProtocolError);
    this.#server = createServer(this.transport, services, {
      exposeErrorMessages: true,
      handshakeOptions: scenario.metadata === undefined ? undefined : handshakeOptions,
    });
    if (scenario.kind === 'live' && scenario.server !== undefined)
      this.follow(scenario.server({ transport: this.transport, clock }));
  }

  override open(): Promise<RawConnection> {
    const connection = new RawConnection();
    this.transport.accept(connection);
    return Promise.resolve(connection);
  }

  protected override get leftover(): string | undefined {
    const { openCalls, running } = this.#server;
    const { pendingHandshakes } = this.transport;
    return openCalls + running + pendingHandshakes === 0 ? undefined : show({ openCalls, running, pendingHandshakes });
  }
}
