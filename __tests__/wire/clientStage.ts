import { createClient } from '../../router/client.ts';
import { Deviation } from './deviation.ts';
import { RawClientTransport, type RawConnection } from './rawTransports.ts';
import { isRecord, type Recording } from './recording.ts';
import type { ClientApplication, LiveScenario } from './scenario.ts';
import type { services } from './services.ts';
import { Stage } from './stage.ts';

/** How our client may differ from the recorded one without a difference on the wire. */
export interface Manner {
  /** When the application begins: at once, so that its calls wait for a session, or once there is one. */
  readonly begins: 'at once' | 'once connected';
  /** Whether it offers extensions. A River server ignores the offer, and so nothing else may come of it. */
  readonly offersExtensions: boolean;
}

/** Our client, before a recorded server. */
export class ClientStage extends Stage {
  override readonly side = 'client';
  protected override readonly transport: RawClientTransport;
  readonly #manner: Manner;

  constructor({ codec }: Recording, scenario: LiveScenario, manner: Manner) {
    super(codec, scenario);
    this.#manner = manner;
    const { clock } = this;
    const { metadata } = scenario;
    const { offersExtensions } = manner;
    const offers = offersExtensions;
    const extensions = { heartbeat: offers, deadline: offers, compact: offers, idempotency: offers, resume: offers };
    this.transport = new RawClientTransport('client-1', { clock, codec, extensions });
    this.transport.addEventListener('protocolError', this.onProtocolError);
    const client = createClient<typeof services>(this.transport, 'SERVER', {
      handshakeOptions: metadata === undefined ? undefined : { construct: metadata },
    });
    this.follow(this.#play(scenario, { client, clock, transport: this.transport }));
  }

  async #play(scenario: LiveScenario, application: ClientApplication): Promise<void> {
    if (this.#manner.begins === 'once connected') {
      await new Promise<void>((resolve) => {
        application.transport.addEventListener('sessionTransition', ({ state }) => {
          if (state === 'Connected') resolve();
        });
      });
    }
    await scenario.client(application);
  }

  override async open(): Promise<RawConnection> {
    const connection = await this.wait(() => this.transport.answer());
    if (connection === undefined) throw new Deviation('a River client dials, ours does not');
    return connection;
  }

  /** Without the offer of extensions, which has to be there where one is made. */
  override decode(frame: Uint8Array): unknown {
    const message = super.decode(frame);
    const payload = isRecord(message) ? message['payload'] : undefined;
    if (!this.#manner.offersExtensions || !isRecord(payload) || payload['type'] !== 'HANDSHAKE_REQ') return message;
    if (!isRecord(payload['extensions'])) throw new Deviation('our client offers no extensions');
    delete payload['extensions'];
    return message;
  }

  override get surplus(): string | undefined {
    return this.transport.unansweredDials > 0 ? 'our client dials, a River client does not' : undefined;
  }
}
