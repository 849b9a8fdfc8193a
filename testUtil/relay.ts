import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Where a relay listens or dials: a port of the loopback interface, or the path of a Unix socket. */
export type RelayAddress = { port: number } | { path: string };

/** What a relay does to the bytes of one direction. `pass` hands them on, `hold` keeps them, `drop` forgets them. */
type Flow = 'pass' | 'hold' | 'drop';

const LOOPBACK = '127.0.0.1';

/** One connection through the relay: two sockets and what becomes of each direction. */
class RelayedConnection {
  readonly #near: Socket;
  readonly #far: Socket;
  #up: Flow = 'pass';
  #down: Flow = 'pass';
  #held: { to: Socket; chunk: Uint8Array }[] = [];

  constructor(near: Socket, far: Socket, onGone: () => void) {
    this.#near = near;
    this.#far = far;
    near.on('data', (chunk) => this.#carry(this.#up, far, chunk));
    far.on('data', (chunk) => this.#carry(this.#down, near, chunk));
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        // A half-open link hides the end of one side from the other.
        if (this.#up !== 'drop' && this.#down !== 'drop') other.destroy();
        if (near.destroyed && far.destroyed) onGone();
      });
    }
  }

  #carry(flow: Flow, to: Socket, chunk: Uint8Array): void {
    if (flow === 'pass') to.write(chunk);
    else if (flow === 'hold') this.#held.push({ to, chunk });
  }

  stall(): void {
    this.#up = 'hold';
    this.#down = 'hold';
  }

  resume(): void {
    this.#up = 'pass';
    this.#down = 'pass';
    const held = this.#held;
    this.#held = [];
    for (const { to, chunk } of held) to.write(chunk);
  }

  halfOpen(direction: 'up' | 'down' | 'both'): void {
    if (direction !== 'down') this.#up = 'drop';
    if (direction !== 'up') this.#down = 'drop';
  }

  cut(): void {
    this.#up = 'pass';
    this.#down = 'pass';
    for (const socket of [this.#near, this.#far]) {
      // A reset, where the socket can: what was under way is lost, as when a cable is pulled.
      if (socket.remotePort !== undefined) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

/**
 * Stands between clients and a server and does what networks do: it cuts connections, holds their bytes back, or
 * leaves them half open, so that one side still believes in them.
 */
export class Relay {
  readonly #server: Server;
  readonly #target: RelayAddress;
  readonly #connections = new Set<RelayedConnection>();
  #isUp = true;

  private constructor(target: RelayAddress) {
    this.#target = target;
    this.#server = createServer((near) => this.#accept(near));
  }

  /** Listens at `at` (port 0: any) and dials `target` for each connection that comes in. */
  static async start(at: RelayAddress, target: RelayAddress): Promise<Relay> {
    const relay = new Relay(target);
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject);
      if ('port' in at) relay.#server.listen(at.port, LOOPBACK, resolve);
      else relay.#server.listen(at.path, resolve);
    });
    return relay;
  }

  /** The port it listens at; 0 for a Unix socket. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections through it. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  #accept(near: Socket): void {
    near.on('error', () => undefined);
    if (!this.#isUp) return void near.destroy();
    const far =
      'port' in this.#target ? createConnection(this.#target.port, LOOPBACK) : createConnection(this.#target.path);
    const connection = new RelayedConnection(near, far, () => this.#connections.delete(connection));
    this.#connections.add(connection);
  }

  /** Breaks every connection. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.cut();
  }

  /** Holds every byte back until {@link resume}. */
  stall(): void {
    for (const connection of this.#connections) connection.stall();
  }

  /** Hands on what was held back. */
  resume(): void {
    for (const connection of this.#connections) connection.resume();
  }

  /** Loses every byte of a direction, and every sign of an end, without telling anybody. `up` is towards the server. */
  halfOpen(direction: 'up' | 'down' | 'both' = 'both'): void {
    for (const connection of this.#connections) connection.halfOpen(direction);
  }

  /** While false, connections are closed as they come in. */
  setUp(isUp: boolean): void {
    this.#isUp = isUp;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
