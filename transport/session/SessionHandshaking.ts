import type { Connection, ConnectionReceiver } from '../connection.ts';
import { isThenable } from '../thenable.ts';
import { IdentifiedState, SessionState, startGrace } from './common.ts';
import type { SessionCore } from './core.ts';
import { createHandle } from './revocable.ts';

/** The client has a connection and asks whether its session may use it. */
export class SessionHandshaking extends IdentifiedState implements ConnectionReceiver {
  readonly state = SessionState.Handshaking;
  readonly handle: SessionHandshaking;
  readonly connection: Connection;
  readonly #metadata: () => unknown;
  #requestSentAt = 0;

  /** @param metadata makes the application's metadata; may return a promise, may throw */
  constructor(core: SessionCore, connection: Connection, metadata: () => unknown) {
    super(core);
    this.connection = connection;
    this.#metadata = metadata;
    this.handle = createHandle<SessionHandshaking>(this);
  }

  onEnter(): void {
    const { owner, clock, options } = this.core.env;
    this.own(startGrace(this.core, this.handle));
    this.own(clock.after(options.handshakeTimeoutMs, () => owner.onHandshakeTimeout(this.handle)));
    this.connection.attach(this);
    if (!this._isConsumed) this.#construct();
  }

  protected override onExit(): void {
    this.connection.detach(this);
  }

  /** The connection has read a frame: the server's answer. */
  onData(frame: Uint8Array): void {
    this.core.env.owner.onHandshakeFrame(this.handle, frame);
  }

  /** The connection has ended. */
  onClose(error: unknown): void {
    this.core.env.owner.onConnectionClosed(this.handle, error);
  }

  #construct(): void {
    const { owner } = this.core.env;
    let metadata: unknown;
    try {
      metadata = this.#metadata();
    } catch (error) {
      return owner.onMetadataFailed(this.handle, error);
    }
    // Without a promise the request leaves in this very turn: a callback-only client needs no microtask.
    if (!isThenable(metadata)) return owner.onMetadataReady(this.handle, metadata);
    Promise.resolve(metadata).then(
      (value: unknown) => owner.onMetadataReady(this.handle, value),
      (error: unknown) => owner.onMetadataFailed(this.handle, error),
    );
  }

  /** Remembers when the server was asked. */
  requestSent(): void {
    this.#requestSentAt = this.core.env.clock.now();
  }

  /** On our clock. */
  get requestSentAt(): number {
    return this.#requestSentAt;
  }

  protected onEnd(): void {
    this.connection.close();
  }
}
