import type { Clock } from './clock.ts';
import { ProtocolError, TransportClosedError } from './errors.ts';
import { EventQueue } from './eventQueue.ts';
import { EventDispatcher, type TransportEventName, type TransportEvents, type TransportListener } from './events.ts';
import { BoundLogger, type LogFields, type LogFn, type Logger, type LogLevel } from './log.ts';
import type { IncomingMessage } from './message.ts';
import type { SettledTransportOptions } from './options.ts';
import type { SessionCore } from './session/core.ts';
import type { SessionEnvironment } from './session/environment.ts';
import type { DisconnectedSession, SessionOwner, SharedEvents } from './session/owner.ts';
import { stateBehind } from './session/revocable.ts';
import type { SendingHalf } from './session/SendingHalf.ts';
import type { SessionConnected } from './session/SessionConnected.ts';
import type { SessionHandshaking } from './session/SessionHandshaking.ts';
import { connectedToNoConnection, type Session } from './session/transitions.ts';
import { TurnEnd } from './session/turnEnd.ts';
import { VerdictQueue } from './session/verdictQueue.ts';
import type { SessionEnd, StreamOpener } from './stream.ts';
import { createTelemetry, type Telemetry } from './telemetry.ts';
import { TimerWheel } from './wheel.ts';

/** Bounds of the wheel's slot, in milliseconds; between them it is a tenth of the shortest coarse deadline. */
const MIN_SLOT_MS = 1;
const MAX_SLOT_MS = 20;

/** What both roles share: sessions by peer, events, status, and everything that does not depend on who dialled. */
export abstract class Transport<O extends SettledTransportOptions = SettledTransportOptions> {
  /** Our own id in every envelope. */
  readonly clientId: string;
  readonly options: O;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly #sessions = new Map<string, Session>();
  readonly #events: EventDispatcher;
  readonly #logger = new BoundLogger();
  protected readonly queue: EventQueue;
  readonly #flushes: TurnEnd;
  readonly #verdicts: VerdictQueue;
  protected readonly wheel: TimerWheel;
  #status: 'open' | 'closed' = 'open';

  constructor(clientId: string, options: O) {
    this.clientId = clientId;
    this.options = options;
    this.clock = options.clock;
    this.telemetry = createTelemetry(options.telemetry);
    const onError = (error: unknown) => this.log('error', 'internal error', { error });
    this.queue = new EventQueue(onError);
    this.#flushes = new TurnEnd(this.clock, onError);
    this.#verdicts = new VerdictQueue(this.clock, onError);
    this.#events = new EventDispatcher((message, fields) => this.log('error', message, fields));
    const shortest = Math.min(options.heartbeatIntervalMs, options.handshakeTimeoutMs);
    this.wheel = new TimerWheel(this.clock, Math.min(MAX_SLOT_MS, Math.max(MIN_SLOT_MS, shortest / 10)), onError);
  }

  /** `closed` for good after {@link close}. */
  getStatus(): 'open' | 'closed' {
    return this.#status;
  }

  /**
   * Live sessions. A client's are by server id, a server's by client id; with `duplicateClient: 'coexist'` by
   * `JSON.stringify([clientId, sessionId])`. The values are handles: they throw once their session has moved on, so look them up again.
   */
  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions;
  }

  get logger(): Logger {
    return this.#logger;
  }

  /** Sends log lines of `level` and above to `fn`, from now on. */
  bindLogger(fn: LogFn, level: LogLevel = 'info'): void {
    this.#logger.bind(fn, level);
  }

  addEventListener<N extends TransportEventName>(name: N, listener: TransportListener<N>): void {
    this.#events.add(name, listener);
  }

  removeEventListener<N extends TransportEventName>(name: N, listener: TransportListener<N>): void {
    this.#events.remove(name, listener);
  }

  /** Ends every session and connection, for good: calls end, new ones are refused. Harmless when it is closed. */
  close(): void {
    if (this.#status === 'closed') return;
    this.#status = 'closed';
    this.queue.run(() => {
      this.endAll({ code: 'closed_locally', message: 'the transport was closed' });
      this.#flushes.close();
      this.onClose();
      this.dispatch('transportStatus', { status: 'closed' });
    });
  }

  /** Ends every session at once, without grace, and stays open: a client that wants to be connected makes a new one. */
  hardDisconnect(): void {
    this.queue.run(() => this.endAll({ code: 'closed_locally', message: 'the session was ended by hardDisconnect()' }));
  }

  /** Whoever gets messages that no stream waits for. */
  protected abstract opener(): StreamOpener | undefined;
  /** The key of a session in {@link sessions}. */
  protected abstract keyOf(core: SessionCore): string;
  /** A connection is gone; the session goes on without, if sessions do. */
  protected abstract onDisconnected(session: Session): void;
  /** A session has ended, in this turn. */
  protected abstract onEnded(core: SessionCore, end: SessionEnd): void;
  protected abstract onRehandshakeMessage(session: SessionConnected, message: IncomingMessage): void;
  protected abstract onHandshakeInterrupted(session: SessionHandshaking, error: unknown): void;
  /** The transport closes, its sessions have ended. */
  protected abstract onClose(): void;

  protected environmentFor(owner: SessionOwner): SessionEnvironment {
    const { options, clock, wheel, queue, telemetry } = this;
    return {
      owner,
      options,
      clock,
      wheel,
      queue,
      flushes: this.#flushes,
      verdicts: this.#verdicts,
      logger: this.#logger,
      telemetry,
      opener: () => this.opener(),
    };
  }

  /** The events of states that both graphs have; each takes its turn in the queue. */
  protected sharedEvents(): SharedEvents {
    const { queue } = this;
    return {
      onGraceElapsed: (session) => queue.post(session, this.#graceElapsed, undefined),
      onConnectionClosed: (session, error) => queue.post(session, this.#connectionClosed, error),
      onFrameInterrupted: (session) => queue.post(session, readOn, undefined),
      onViolation: (session, reason) => queue.post(session, this.#violation, reason),
      onGap: (session, reason) => queue.post(session, this.#gap, reason),
      onPeerSilent: (session) => queue.post(session, this.#peerSilent, undefined),
      onRehandshakeMessage: (session, message) => queue.post(session, this.#rehandshake, message),
      onFlushDue: (session) => queue.post(session, flush, undefined),
      onOverflow: (core, message) => queue.run(() => this.#overflow(core, message)),
    };
  }

  protected assertOpen(doing: string): void {
    if (this.#status === 'closed') throw new TransportClosedError(this.clientId, doing);
  }

  protected log(level: LogLevel, message: string, fields: LogFields): void {
    if (this.#logger.enabled(level)) this.#logger.log(level, message, { clientId: this.clientId, ...fields });
  }

  protected dispatch<N extends TransportEventName>(name: N, event: TransportEvents[N]): void {
    if (this.#events.has(name)) this.#events.dispatch(name, event);
  }

  protected protocolError(event: TransportEvents['protocolError']): void {
    this.log('warn', event.message, {
      code: event.code ?? event.type,
      sessionId: event.sessionId,
      connectedTo: event.peer,
    });
    this.dispatch('protocolError', event);
  }

  /** Makes a state the session's current one: install, enter, then tell. */
  protected install(session: Session, isNew = false): void {
    const { core } = session;
    this.#sessions.set(this.keyOf(core), session);
    stateBehind(session).onEnter();
    if (this.#logger.enabled('debug')) {
      this.log('debug', `session is ${session.state}`, {
        sessionId: core.id,
        connectedTo: core.to,
        state: session.state,
      });
    }
    // In this turn, so that listeners are told in order and while it is true; what they do to the transport waits.
    this.queue.within(() => {
      if (isNew) this.dispatch('sessionStatus', { status: 'created', session });
      const { state, id, to } = session;
      const resent = session.state === 'Connected' ? session.resent : 0;
      this.dispatch('sessionTransition', { state, id, to, session, resent });
    });
  }

  /** Ends a session for good, whichever state it is in. */
  protected endSession(session: Session, end: SessionEnd): void {
    const { core } = session;
    this.log('info', `session ended: ${end.message}`, { sessionId: core.id, connectedTo: core.to, code: end.code });
    this.dispatch('sessionStatus', { status: 'closing', session, end });
    stateBehind(session).close();
    const key = this.keyOf(core);
    if (this.#sessions.get(key) === session) this.#sessions.delete(key);
    core.end(end);
    this.dispatch('sessionStatus', { status: 'closed', session: { id: core.id, to: core.to }, end });
    this.onEnded(core, end);
  }

  /** A connection that worked is gone: the grace period begins, or the session ends where reconnecting is switched off. */
  protected disconnect(session: SessionConnected): void {
    session.core.startGrace();
    const next = connectedToNoConnection(session);
    this.install(next);
    this.onDisconnected(next);
    if (this.options.enableTransparentSessionReconnects || next._isConsumed) return;
    this.endSession(next, {
      code: 'closed_locally',
      message: 'the connection is gone and enableTransparentSessionReconnects is false',
    });
  }

  protected endAll(end: SessionEnd): void {
    for (const session of [...this.#sessions.values()]) this.endSession(session, end);
  }

  readonly #graceElapsed = (session: DisconnectedSession): void => {
    const graceMs = this.options.sessionDisconnectGraceMs;
    const what = session.core.wasConnected ? 'the peer stayed away for longer than' : 'nobody could be reached within';
    this.endSession(session, { code: 'grace_elapsed', message: `${what} ${graceMs} ms` });
  };

  readonly #connectionClosed = (session: SessionHandshaking | SessionConnected, error: unknown): void => {
    if (error !== undefined)
      this.log('info', 'connection broke', { sessionId: session.id, connectedTo: session.to, error });
    if (session.state === 'Connected') this.disconnect(session);
    else this.onHandshakeInterrupted(session, error);
  };

  readonly #violation = (session: SessionConnected, reason: string): void => {
    this.protocolError({
      type: ProtocolError.InvalidMessage,
      message: reason,
      sessionId: session.id,
      peer: session.to,
    });
    this.endSession(session, { code: 'protocol_violation', message: reason });
  };

  readonly #gap = (session: SessionConnected, reason: string): void => {
    this.log('warn', `a message is missing, closing the connection: ${reason}`, {
      sessionId: session.id,
      connectedTo: session.to,
    });
    this.disconnect(session);
  };

  readonly #peerSilent = (session: SessionConnected): void => {
    this.log('info', 'the peer is silent, closing the connection', { sessionId: session.id, connectedTo: session.to });
    session.connection.terminate();
    this.disconnect(session);
  };

  #overflow(core: SessionCore, message: string): void {
    const session = this.#sessions.get(this.keyOf(core));
    if (session?.core === core) this.endSession(session, { code: 'buffer_full', message });
  }

  readonly #rehandshake = (session: SessionConnected, message: IncomingMessage): void =>
    this.onRehandshakeMessage(session, message);
}

function flush(session: SendingHalf): void {
  session.flush();
}

function readOn(session: SessionConnected): void {
  session.readOn();
}
