import type { Connection, ConnectionReceiver } from '../connection.ts';
import { BaseState, SessionState } from './common.ts';
import type { SessionEnvironment } from './environment.ts';
import { createHandle } from './revocable.ts';
import { verdictAfter } from './verdict.ts';

/**
 * The server has a connection and does not know yet whose it is. It belongs to no session, raises no session events
 * and lives in a set of its own.
 */
export class SessionWaitingForHandshake extends BaseState implements ConnectionReceiver {
  readonly state = SessionState.WaitingForHandshake;
  readonly handle: SessionWaitingForHandshake;
  /** Identifies the pending connection in logs. */
  readonly id: string;
  /** Given when the connection was accepted, before any frame: later dials have higher ones. */
  readonly ordinal: number;
  readonly connection: Connection;
  readonly #env: SessionEnvironment;
  #requestArrivedAt: number | undefined;

  constructor(id: string, ordinal: number, connection: Connection, env: SessionEnvironment) {
    super();
    this.id = id;
    this.ordinal = ordinal;
    this.connection = connection;
    this.#env = env;
    this.handle = createHandle<SessionWaitingForHandshake>(this);
  }

  /** On our clock; undefined before the request, set while it is being validated. */
  get requestArrivedAt(): number | undefined {
    return this.#requestArrivedAt;
  }

  requestArrived(): void {
    this.#requestArrivedAt = this.#env.clock.now();
  }

  onEnter(): void {
    const { owner, options } = this.#env;
    this.own(verdictAfter(this.#env, options.handshakeTimeoutMs, () => owner.onPendingTimeout(this.handle)));
    this.connection.attach(this);
  }

  protected override onExit(): void {
    this.connection.detach(this);
  }

  /** The connection has read a frame. */
  onData(frame: Uint8Array): void {
    this.#env.owner.onPendingFrame(this.handle, frame);
  }

  /** The connection has ended. */
  onClose(): void {
    this.#env.owner.onPendingClosed(this.handle);
  }

  toJSON(): object {
    return { id: this.id, state: this.state, _isConsumed: this._isConsumed };
  }

  protected onEnd(): void {
    this.connection.close();
  }
}
