import { ClientTransport } from '../../../transport/client.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../../transport/options.ts';
import { ServerTransport } from '../../../transport/server.ts';
import type { Dial } from '../../../transport/session/SessionConnecting.ts';
import type { Host } from './host.ts';

/** The client's transport of a simulated process. */
export class SimClientTransport extends ClientTransport {
  readonly #host: Host;

  constructor(host: Host, clientId: string, options: ClientTransportOptions) {
    super(clientId, { ...options, clock: host.time.for('transport') });
    this.#host = host;
  }

  protected override dial(to: string): Dial {
    return (callbacks) => this.#host.dial(to, callbacks);
  }
}

/** The server's transport of a simulated process; it takes every connection that is opened to the process. */
export class SimServerTransport extends ServerTransport {
  constructor(host: Host, clientId: string, options: ServerTransportOptions) {
    super(clientId, { ...options, clock: host.time.for('transport') });
    host.onAccept = (connection) => this.acceptConnection(connection);
  }
}
