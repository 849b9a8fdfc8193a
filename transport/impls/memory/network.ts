import { ClientTransport } from '../../client.ts';
import { type Clock, systemClock } from '../../clock.ts';
import { Connection } from '../../connection.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../options.ts';
import { ServerTransport } from '../../server.ts';
import type { Dial } from '../../session/SessionConnecting.ts';

/**
 * One end of a pipe in memory. What one turn sends is delivered together, in order, one turn of the loop later: never
 * within the call that sent it, so that it behaves as a socket does.
 */
export class MemoryConnection extends Connection {
  readonly #clock: Clock;
  #peer: MemoryConnection | undefined;
  #outbox: Uint8Array[] = [];
  #closing = false;
  #isScheduled = false;
  readonly #onGone: () => void;

  constructor(clock: Clock, onGone: () => void = () => undefined) {
    super('memory');
    this.#clock = clock;
    this.#onGone = onGone;
  }

  /** Makes two ends of one pipe. `onGone` is called once, when the pipe has ended. */
  static pair(clock: Clock, onGone: (near: MemoryConnection) => void): [MemoryConnection, MemoryConnection] {
    const a: MemoryConnection = new MemoryConnection(clock, () => onGone(a));
    const b = new MemoryConnection(clock, () => onGone(a));
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded || this.#peer === undefined) return false;
    // Who receives a frame may keep all of its memory, and who sends it may need it again. (Parts of memory are never kept.)
    this.#outbox.push(frame.byteLength === frame.buffer.byteLength ? frame.slice() : frame);
    this.#schedule();
    return true;
  }

  /** Breaks the pipe for both ends at once; what was under way is lost. */
  cut(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    this.#outbox = [];
    this.#onGone();
    this.ended();
    if (peer !== undefined) peer.cut();
  }

  protected override destroy(): void {
    this.#closing = true;
    this.#onGone();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#clock.afterIo(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    const frames = this.#outbox;
    this.#outbox = [];
    for (const frame of frames) this.#peer?.deliver(frame);
    if (!this.#closing) return;
    const peer = this.#peer;
    this.#peer = undefined;
    if (peer !== undefined) peer.#peer = undefined;
    peer?.ended();
  }
}

/** Servers and clients that reach each other without a network. */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #servers = new Map<string, MemoryServerTransport>();
  readonly #connections = new Set<MemoryConnection>();
  /** False: dials fail, as with a server that is down. */
  isReachable = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A server that clients of this network reach by its id, until it is closed. */
  createServerTransport(clientId: string = 'SERVER', options: ServerTransportOptions = {}): MemoryServerTransport {
    const server = new MemoryServerTransport(this, clientId, { clock: this.#clock, ...options });
    this.#servers.set(clientId, server);
    return server;
  }

  /** A client of this network. */
  createClientTransport(clientId?: string, options: ClientTransportOptions = {}): MemoryClientTransport {
    return new MemoryClientTransport(this, clientId, { clock: this.#clock, ...options });
  }

  /** Servers that have not been closed. */
  get serverCount(): number {
    return this.#servers.size;
  }

  /** Pipes that are open. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Breaks every connection at once. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.cut();
  }

  /** @returns how to abandon the dial */
  connect(to: string, onOpen: (connection: Connection) => void, onError: (error: Error) => void): () => void {
    return this.#clock.afterIo(() => {
      const server = this.#servers.get(to);
      if (!this.isReachable) return onError(new Error('the memory network is not reachable'));
      if (server === undefined) return onError(new Error(`nobody listens as '${to}' in this memory network`));
      const [near, far] = MemoryConnection.pair(this.#clock, (gone) => this.#connections.delete(gone));
      this.#connections.add(near);
      server.accept(far);
      onOpen(near);
    });
  }

  /** @internal */
  forget(server: MemoryServerTransport): void {
    if (this.#servers.get(server.clientId) === server) this.#servers.delete(server.clientId);
  }
}

/** A server in this process. */
export class MemoryServerTransport extends ServerTransport {
  readonly #network: MemoryNetwork;

  constructor(network: MemoryNetwork, clientId: string, options: ServerTransportOptions) {
    super(clientId, options);
    this.#network = network;
  }

  /** @internal */
  accept(connection: Connection): void {
    this.acceptConnection(connection);
  }

  protected override onClose(): void {
    super.onClose();
    this.#network.forget(this);
  }
}

/** A client in this process. */
export class MemoryClientTransport extends ClientTransport {
  readonly #network: MemoryNetwork;

  constructor(network: MemoryNetwork, clientId: string | undefined, options: ClientTransportOptions) {
    super(clientId, options);
    this.#network = network;
  }

  protected override dial(to: string): Dial {
    return ({ onOpen, onError }) => this.#network.connect(to, onOpen, onError);
  }
}

/** Both ends in one process, for embedding and tests. */
export function createMemoryNetwork(options: { clock?: Clock | undefined } = {}): MemoryNetwork {
  return new MemoryNetwork(options.clock ?? systemClock);
}
