import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { ClientTransport } from '../../transport/client.ts';
import { Connection } from '../../transport/connection.ts';
import { ServerTransport } from '../../transport/server.ts';
import type { Dial, DialCallbacks } from '../../transport/session/SessionConnecting.ts';

/** Lets every promise that can settle do so. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Virtual time without chance: the first beat comes after three quarters of its interval, the first redial after 100 ms. */
export class ReplayClock extends VirtualClock {
  constructor() {
    super(turn);
  }

  override random(): number {
    return 0.5;
  }

  /** Resolves once nothing moves without time passing. */
  async settled(): Promise<void> {
    do await turn();
    while (this.pendingIo > 0);
  }
}

/** Our end of a pipe whose other end is a recording. */
export class RawConnection extends Connection {
  #isClosedByUs = false;
  readonly #sent: Uint8Array[] = [];
  #taken = 0;

  constructor() {
    super('memory');
  }

  /** Whether our side has closed it. */
  get isClosedByUs(): boolean {
    return this.#isClosedByUs;
  }

  override send(frame: Uint8Array): boolean {
    if (this.isEnded) return false;
    this.#sent.push(frame);
    return true;
  }

  protected override destroy(): void {
    this.#isClosedByUs = true;
  }

  /** The other end sends a frame. */
  hear(frame: Uint8Array): void {
    this.deliver(frame);
  }

  /** The other end, or something in between, ends the pipe. */
  drop(): void {
    this.ended();
  }

  /** The oldest frame we have sent that nobody has taken yet. */
  take(): Uint8Array | undefined {
    const frame = this.#sent[this.#taken];
    if (frame !== undefined) this.#taken += 1;
    return frame;
  }
}

/** A server that is handed its connections. */
export class RawServerTransport extends ServerTransport {
  accept(connection: Connection): void {
    this.acceptConnection(connection);
  }
}

/** A client whose dials wait to be answered. */
export class RawClientTransport extends ClientTransport {
  readonly #dials = new Set<DialCallbacks>();
  #unanswered = 0;

  /** Dials that were not answered, those that were given up since then among them. */
  get unansweredDials(): number {
    return this.#unanswered;
  }

  protected override dial(): Dial {
    return (callbacks) => {
      this.#unanswered += 1;
      this.#dials.add(callbacks);
      return () => this.#dials.delete(callbacks);
    };
  }

  /** Answers the oldest dial that waits. Returns its connection, or undefined if nobody dials. */
  answer(): RawConnection | undefined {
    for (const callbacks of this.#dials) {
      this.#unanswered -= 1;
      this.#dials.delete(callbacks);
      const connection = new RawConnection();
      callbacks.onOpen(connection);
      return connection;
    }
    return undefined;
  }
}
