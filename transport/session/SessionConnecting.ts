import type { Connection } from '../connection.ts';
import { IdentifiedState, SessionState, startGrace } from './common.ts';
import type { SessionCore } from './core.ts';
import { createHandle } from './revocable.ts';

/** Tells how a dial ended; exactly one of the two is called, once. Both are ignored after the dial was abandoned. */
export interface DialCallbacks {
  onOpen(connection: Connection): void;
  onError(error: unknown): void;
}

/** Starts a dial and returns how to abandon it. A connection that opens all the same is given to `onOpen`, which closes it. */
export type Dial = (callbacks: DialCallbacks) => () => void;

/** The client dials. */
export class SessionConnecting extends IdentifiedState {
  readonly state = SessionState.Connecting;
  readonly handle: SessionConnecting;
  readonly #dial: Dial;
  #abandon: () => void = () => undefined;
  #settled = false;

  constructor(core: SessionCore, dial: Dial) {
    super(core);
    this.#dial = dial;
    this.handle = createHandle<SessionConnecting>(this);
  }

  onEnter(): void {
    const { owner, clock, options } = this.core.env;
    this.own(startGrace(this.core, this.handle));
    this.own(
      clock.after(options.connectionTimeoutMs, () =>
        owner.onDialFailed(
          this.handle,
          new Error(`no connection within connectionTimeoutMs (${options.connectionTimeoutMs})`),
        ),
      ),
    );
    const abandon = this.#dial({
      onOpen: (connection) => {
        // Too late: whoever is live now must not lose a turn, or its session, to this connection.
        if (this._isConsumed || this.#settled) return connection.close();
        this.#settled = true;
        owner.onDialed(this.handle, connection);
      },
      onError: (error) => {
        if (this._isConsumed || this.#settled) return;
        this.#settled = true;
        owner.onDialFailed(this.handle, error);
      },
    });
    this.#abandon = abandon;
    if (this._isConsumed && !this.#settled) abandon();
  }

  /** Gives the dial up; a connection that opens late is closed. */
  abandon(): void {
    if (!this.#settled) this.#abandon();
  }

  protected onEnd(): void {
    this.abandon();
  }
}
