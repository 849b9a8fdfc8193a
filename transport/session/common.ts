import type { SessionCore } from './core.ts';
import type { DisconnectedSession } from './owner.ts';
import { movedCore } from './revocable.ts';
import { Scope } from './scope.ts';
import { verdictAfter } from './verdict.ts';

/** The six states a session can be in. */
export const SessionState = {
  NoConnection: 'NoConnection',
  BackingOff: 'BackingOff',
  Connecting: 'Connecting',
  Handshaking: 'Handshaking',
  WaitingForHandshake: 'WaitingForHandshake',
  Connected: 'Connected',
} as const;

/** One of {@link SessionState}. */
export type SessionState = (typeof SessionState)[keyof typeof SessionState];

/**
 * What every state has: it is entered once, left once, and owns what it started. Leaving and closing differ:
 * leaving hands on (a successful transition keeps the connection), closing ends.
 */
export abstract class BaseState {
  abstract readonly state: SessionState;
  #scope: Scope | undefined;
  #consumed = false;

  /** True once the session has left this state; every handle of it throws from then on. */
  get _isConsumed(): boolean {
    return this.#consumed;
  }

  /** Starts timers and listeners, all through the scope. Called once the state is installed. */
  abstract onEnter(): void;

  /** What only an end needs: closing what a transition would have handed on. */
  protected abstract onEnd(): void;

  protected own(cancel: () => void): void {
    this.#scope ??= new Scope();
    this.#scope.add(cancel);
  }

  /** Ends what the state does not keep in its scope. */
  protected onExit(): void {}

  /** Leaves the state: its timers and listeners end, and it must not be used again. */
  exit(): void {
    this.#consumed = true;
    this.#scope?.end();
    this.onExit();
  }

  /** Leaves the state for good, and ends what it carried. */
  close(): void {
    this.exit();
    this.onEnd();
  }
}

/** A state of a session that knows its peer. */
export abstract class IdentifiedState extends BaseState {
  /** The session's id; readable on a stale handle. */
  readonly id: string;
  #core: SessionCore;

  constructor(core: SessionCore) {
    super();
    this.id = core.id;
    this.#core = core;
  }

  get core(): SessionCore {
    return this.#core;
  }

  /** Our client id. */
  get from(): string {
    return this.#core.from;
  }

  /** The peer's client id. */
  get to(): string {
    return this.#core.to;
  }

  toJSON(): object {
    return { id: this.id, state: this.state, _isConsumed: this._isConsumed };
  }

  /** Leaves the state and hands its core to the next one. What is left here throws on use. */
  release(): SessionCore {
    const core = this.#core;
    this.exit();
    this.#core = movedCore<SessionCore>(this.state);
    return core;
  }
}

/** Runs the grace period: in every state without a connection that works, towards one absolute deadline. */
export function startGrace(core: SessionCore, session: DisconnectedSession): () => void {
  const { env } = core;
  return verdictAfter(env, core.graceDeadline - env.clock.now(), () => env.owner.onGraceElapsed(session));
}
