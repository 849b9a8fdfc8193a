import { createConnection, type Socket } from 'node:net';
import { ClientTransport } from '../../client.ts';
import type { ClientTransportOptions } from '../../options.ts';
import type { Dial, DialCallbacks } from '../../session/SessionConnecting.ts';
import { UnixConnection } from './connection.ts';
import { assertPathFits, explainSocketError } from './errors.ts';

export { UnixSocketError } from './errors.ts';

/** A client over a Unix domain socket. Constructing it connects nothing. */
export class UnixDomainSocketClientTransport extends ClientTransport {
  readonly #path: string;

  /** @throws {UnixSocketError} `PATH_TOO_LONG` */
  constructor(path: string, clientId?: string, options: ClientTransportOptions = {}) {
    super(clientId, options);
    assertPathFits(path);
    this.#path = path;
  }

  protected override dial(_to: string): Dial {
    return (callbacks) => {
      const socket = createConnection(this.#path);
      this.#watch(socket, callbacks);
      return () => socket.destroy();
    };
  }

  #watch(socket: Socket, callbacks: DialCallbacks): void {
    const onError = (error: unknown) => {
      socket.destroy();
      callbacks.onError(explainSocketError(error, this.#path));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      callbacks.onOpen(new UnixConnection(socket, this.options.maxMessageBytes, this.clock));
    });
  }
}
