import type { ProtocolErrorType } from './errors.ts';
import type { LogFields } from './log.ts';
import type { SessionState } from './session/common.ts';
import type { Session } from './session/transitions.ts';
import type { SessionEnd } from './stream.ts';
import { callSafely } from './thenable.ts';

/** A session that has ended: what is left of it is who it was. */
export interface EndedSession {
  id: string;
  /** The peer. */
  to: string;
}

/** Payloads by event name. */
export interface TransportEvents {
  /** A session begins, is about to end, has ended. `closed` never comes before `created`. */
  sessionStatus:
    | { status: 'created'; session: Session }
    | { status: 'closing'; session: Session; end: SessionEnd }
    | { status: 'closed'; session: EndedSession; end: SessionEnd };
  /** A session entered another state. `resent`: messages that a new connection carried again, on entering Connected. */
  sessionTransition: { state: SessionState; id: string; to: string; session: Session; resent: number };
  /** A peer broke the protocol, a handshake failed, or a client gave up. */
  protocolError: {
    type: ProtocolErrorType;
    message: string;
    /** Of a failed handshake: its code. */
    code?: string | undefined;
    sessionId?: string | undefined;
    peer?: string | undefined;
  };
  /** `closed` comes once. */
  transportStatus: { status: 'open' | 'closed' };
}

/** Names of {@link TransportEvents}. */
export type TransportEventName = keyof TransportEvents;
/** Receives one kind of event. What it throws is logged and harms nobody. */
export type TransportListener<N extends TransportEventName> = (event: TransportEvents[N]) => void;

type ListenerSets = { [N in TransportEventName]: Set<TransportListener<N>> };

/** Listeners by event. */
export class EventDispatcher {
  readonly #listeners: ListenerSets = {
    sessionStatus: new Set(),
    sessionTransition: new Set(),
    protocolError: new Set(),
    transportStatus: new Set(),
  };
  readonly #onListenerError: (message: string, fields: LogFields) => void;

  constructor(onListenerError: (message: string, fields: LogFields) => void) {
    this.#onListenerError = onListenerError;
  }

  add<N extends TransportEventName>(name: N, listener: TransportListener<N>): void {
    this.#listeners[name].add(listener);
  }

  remove<N extends TransportEventName>(name: N, listener: TransportListener<N>): void {
    this.#listeners[name].delete(listener);
  }

  /** True where somebody listens, so that nobody builds an event for nobody. */
  has(name: TransportEventName): boolean {
    return this.#listeners[name].size > 0;
  }

  /** Number of listeners of every event together. */
  get size(): number {
    let size = 0;
    for (const set of Object.values(this.#listeners)) size += set.size;
    return size;
  }

  dispatch<N extends TransportEventName>(name: N, event: TransportEvents[N]): void {
    for (const listener of this.#listeners[name]) {
      callSafely(
        () => listener(event),
        (error) => this.#onListenerError(`a ${name} listener failed`, { error }),
      );
    }
  }
}
