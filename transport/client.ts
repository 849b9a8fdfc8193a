import { judgeAnswer } from './answer.ts';
import { encodeRequest } from './ask.ts';
import type { Connection } from './connection.ts';
import { ProtocolError } from './errors.ts';
import { type ClientHandshake, HandshakeCode } from './handshake.ts';
import { Intent } from './intent.ts';
import { type IncomingMessage, rehandshakeResponse } from './message.ts';
import { type ClientTransportOptions, type SettledClientOptions, settleClientOptions } from './options.ts';
import { SessionCore } from './session/core.ts';
import type { SessionEnvironment } from './session/environment.ts';
import { noServerEvents } from './session/owner.ts';
import type { SessionBackingOff } from './session/SessionBackingOff.ts';
import type { SessionConnected } from './session/SessionConnected.ts';
import type { Dial, SessionConnecting } from './session/SessionConnecting.ts';
import type { SessionHandshaking } from './session/SessionHandshaking.ts';
import type { SessionNoConnection } from './session/SessionNoConnection.ts';
import {
  backingOffToConnecting,
  connectingToHandshaking,
  connectingToNoConnection,
  createNoConnection,
  handshakingToConnected,
  handshakingToNoConnection,
  noConnectionToBackingOff,
  type Session,
} from './session/transitions.ts';
import type { SessionEnd, SessionPort } from './stream.ts';
import { Transport } from './transport.ts';
import { decodeFrame } from './wire.ts';

/** Dials, backs off, asks: the client's graph. An implementation provides {@link ClientTransport.dial}. */
export abstract class ClientTransport extends Transport<SettledClientOptions> {
  readonly #intents = new Map<string, Intent>();
  readonly #environment: SessionEnvironment;
  #handshake: ClientHandshake | undefined;
  /** Sessions whose server wants fresh metadata that are being made. */
  readonly #answering = new WeakMap<SessionCore, 'asked' | 'asked again'>();

  /** @param clientId our id; by default a random one */
  constructor(clientId: string | undefined, options: ClientTransportOptions = {}) {
    const settled = settleClientOptions(options);
    super(clientId ?? `client-${settled.clock.id()}`, settled);
    const { queue } = this;
    this.#environment = this.environmentFor({
      onBackoffElapsed: (session) => queue.post(session, this.#backoffElapsed, undefined),
      // Not posted to the session: a connection that comes too late must be closed, not dropped.
      onDialed: (session, connection) => queue.run(() => this.#dialed(session, connection)),
      onDialFailed: (session, error) => queue.post(session, this.#dialFailed, error),
      onMetadataReady: (session, metadata) => queue.post(session, this.#metadataReady, metadata),
      onMetadataFailed: (session, error) => queue.post(session, this.#metadataFailed, error),
      onHandshakeFrame: (session, frame) => queue.post(session, this.#handshakeFrame, frame),
      onHandshakeTimeout: (session) => queue.post(session, this.#handshakeTimeout, undefined),
      onSettled: (session) => queue.post(session, this.#settled, undefined),
      // Behind the others: see settleClientOptions.
      ...this.sharedEvents(),
      ...noServerEvents,
    });
  }

  /** Starts a dial to a peer. @see Dial */
  protected abstract dial(to: string): Dial;

  /** How to make handshake metadata, from now on. */
  setHandshake(handshake: ClientHandshake): void {
    this.#handshake = handshake;
  }

  /**
   * Wants to be connected to `to`, from now on: dials, and goes on dialling with backoff until it is.
   * @throws {TransportClosedError}
   */
  connect(to: string): void {
    this.openSession(to);
  }

  /**
   * The live session with `to`, or a new one; either way it is connected as soon as possible.
   * @throws {TransportClosedError}
   */
  openSession(to: string): SessionPort {
    this.assertOpen('connecting');
    const intent = this.#intentOf(to);
    intent.wanted = true;
    const existing = this.sessions.get(to);
    // The core, not the handle: a listener that hears of the new session may end it before this returns.
    const core = existing?.core ?? this.#createSession(intent);
    if (existing === undefined || existing.state === 'NoConnection') this.queue.run(() => this.#pursue(intent));
    return core;
  }

  /** The live session with `to`, if there is one. */
  findSession(to: string): SessionPort | undefined {
    return this.sessions.get(to)?.core;
  }

  /** Dials now where it would wait: the network is back, the page is visible again. */
  endBackoff(): void {
    this.queue.run(() => {
      for (const intent of this.#intents.values()) {
        intent.endBackoff();
        const session = this.sessions.get(intent.to);
        if (session?.state === 'BackingOff') this.#backoffElapsed(session);
        else if (session === undefined && intent.wanted) this.#pursue(intent);
      }
    });
  }

  protected override opener(): undefined {
    return undefined;
  }

  protected override keyOf(core: SessionCore): string {
    return core.to;
  }

  protected override onClose(): void {
    for (const intent of this.#intents.values()) intent.cancelRedial();
    this.#intents.clear();
  }

  protected override onDisconnected(session: Session): void {
    const intent = this.#intentOf(session.to);
    intent.dropped();
    if (intent.hasBudget) {
      if (this.options.enableTransparentSessionReconnects) this.#pursue(intent);
      return;
    }
    const message = this.#retriesExceeded(intent, session.id);
    this.#giveUp(session, { code: 'retries_exceeded', message }, undefined);
  }

  protected override endSession(session: Session, end: SessionEnd): void {
    super.endSession(session, this.#counted(session, end));
  }

  /** An end may be what uses up the attempts: then it is for good, and whoever is told of it hears that. */
  #counted(session: Session, end: SessionEnd): SessionEnd {
    const intent = this.#intentOf(session.to);
    if (!intent.wanted || this.getStatus() === 'closed') return end;
    if (end.code === 'state_mismatch' && session.core.wasConnected) intent.forgotten();
    else if (end.code === 'protocol_violation' || end.code === 'state_mismatch') intent.failed();
    else if (session.state === 'Connected') intent.dropped();
    else return end;
    return intent.hasBudget ? end : { code: 'retries_exceeded', message: this.#retriesExceeded(intent, session.id) };
  }

  protected override onEnded(core: SessionCore): void {
    const intent = this.#intentOf(core.to);
    intent.cancelRedial();
    if (!intent.wanted || this.getStatus() === 'closed') return;
    intent.redialLater(() => this.queue.run(() => this.#pursue(intent)));
  }

  protected override onHandshakeInterrupted(session: SessionHandshaking, error: unknown): void {
    this.#tryAgain(
      handshakingToNoConnection(session),
      error ?? new Error('the connection was closed during the handshake'),
    );
  }

  protected override onRehandshakeMessage(session: SessionConnected, message: IncomingMessage): void {
    const { core } = session;
    if (!isRehandshakeRequest(message.payload))
      return this.log('warn', 'ignored an unknown re-handshake message', { sessionId: core.id });
    if (this.#answering.has(core)) this.#answering.set(core, 'asked again');
    else void this.#answerRehandshake(core);
  }

  /** Makes metadata once at a time, however often it is asked for. */
  async #answerRehandshake(core: SessionCore): Promise<void> {
    this.#answering.set(core, 'asked');
    try {
      const metadata = await this.#handshake?.construct();
      // The session may have moved on, or ended, while the metadata was being made: the core knows.
      if (core.isOpen) core.send(rehandshakeResponse(metadata));
    } catch (error) {
      this.log('error', 'could not make metadata for a re-handshake', { sessionId: core.id, error });
    }
    const isAskedAgain = this.#answering.get(core) === 'asked again';
    this.#answering.delete(core);
    if (isAskedAgain && core.isOpen) void this.#answerRehandshake(core);
  }

  #intentOf(to: string): Intent {
    let intent = this.#intents.get(to);
    if (intent === undefined) {
      intent = new Intent(to, this.options, this.clock);
      this.#intents.set(to, intent);
    }
    return intent;
  }

  #createSession(intent: Intent): SessionCore {
    intent.cancelRedial();
    const id = `session-${this.clock.id()}`;
    const span = this.telemetry.startSpan('holdfast.session', 'client', {
      'holdfast.session_id': id,
      'holdfast.peer': intent.to,
    });
    const core = new SessionCore(id, this.clientId, intent.to, this.#environment, span);
    // 142 bits.
    core.resumeToken = this.clock.id() + this.clock.id();
    this.install(createNoConnection(core), true);
    return core;
  }

  /** Takes the next step towards being connected, where one is due. */
  #pursue(intent: Intent): void {
    if (this.getStatus() === 'closed' || !intent.wanted) return;
    if (!this.sessions.has(intent.to)) this.#createSession(intent);
    const session = this.sessions.get(intent.to);
    if (session?.state !== 'NoConnection') return;
    const waitMs = intent.waitMsWithin(session.core.graceDeadline);
    const next = noConnectionToBackingOff(session, waitMs);
    this.install(next);
    if (waitMs === 0) this.#backoffElapsed(next);
  }

  readonly #backoffElapsed = (session: SessionBackingOff): void => {
    if (session._isConsumed) return;
    this.install(backingOffToConnecting(session, this.dial(session.to)));
  };

  #dialed(session: SessionConnecting, connection: Connection): void {
    if (session._isConsumed) return connection.close();
    this.install(connectingToHandshaking(session, connection, () => this.#handshake?.construct()));
  }

  readonly #dialFailed = (session: SessionConnecting, error: unknown): void => {
    const isFatal = this.#isFatal(error);
    const next = connectingToNoConnection(session);
    if (!isFatal) return this.#tryAgain(next, error);
    this.install(next);
    this.#intentOf(next.to).wanted = false;
    this.#giveUp(next, { code: 'retries_exceeded', message: 'the dial failed for good' }, error);
  };

  #isFatal(error: unknown): boolean {
    try {
      return this.options.isFatalConnectionError(error);
    } catch (thrown) {
      this.log('error', 'isFatalConnectionError threw', { error: thrown });
      return false;
    }
  }

  /** A dial or handshake failed in a way that another one may mend. */
  #tryAgain(session: SessionNoConnection, error: unknown): void {
    this.install(session);
    const intent = this.#intentOf(session.to);
    intent.failed();
    this.log('info', 'could not connect', { sessionId: session.id, connectedTo: session.to, error });
    if (intent.hasBudget) return this.#pursue(intent);
    const message = this.#retriesExceeded(intent, session.id);
    this.#giveUp(session, { code: 'retries_exceeded', message }, error);
  }

  /** The application's limit is reached; whoever connects again starts over. */
  #retriesExceeded(intent: Intent, sessionId: string): string {
    const message = `gave up after ${intent.failures} failed attempts`;
    intent.wanted = false;
    intent.startOver();
    this.protocolError({ type: ProtocolError.RetriesExceeded, message, sessionId, peer: intent.to });
    return message;
  }

  /** Nothing is dialled again by itself; but who hears of the reason may have connected again already. */
  #giveUp(session: Session, end: SessionEnd, error: unknown): void {
    this.log('error', end.message, { sessionId: session.id, connectedTo: session.to, error });
    this.endSession(session, end);
  }

  readonly #metadataReady = (session: SessionHandshaking, metadata: unknown): void => {
    let frame: Uint8Array;
    try {
      frame = encodeRequest(session.core, metadata, this.options);
    } catch (error) {
      return this.#metadataFailed(session, error);
    }
    session.requestSent();
    session.connection.send(frame);
  };

  readonly #metadataFailed = (session: SessionHandshaking, error: unknown): void => {
    this.log('error', 'could not make handshake metadata', { sessionId: session.id, error });
    this.#tryAgain(handshakingToNoConnection(session), error);
  };

  readonly #handshakeTimeout = (session: SessionHandshaking): void => {
    const ms = this.options.handshakeTimeoutMs;
    this.#tryAgain(handshakingToNoConnection(session), new Error(`no answer within handshakeTimeoutMs (${ms})`));
  };

  readonly #handshakeFrame = (session: SessionHandshaking, frame: Uint8Array): void => {
    const { core } = session;
    const { codec, maxMessageBytes } = this.options;
    const verdict = judgeAnswer(core, decodeFrame(codec, frame, maxMessageBytes), this.options);
    if (verdict.kind === 'refused') return this.#refused(session, verdict.code, verdict.reason);
    const { extensions } = verdict;
    if (core.agreement === undefined)
      core.agree({ codec, extensions }, session.requestSentAt, extensions?.credit?.windowBytes);
    // What the server has need not go again. A River server does not say: it gets everything that is unconfirmed.
    if (extensions?.resume !== undefined) core.confirm(extensions.resume.nextExpectedSeq);
    this.#intentOf(session.to).connected();
    this.install(handshakingToConnected(session));
    core.wakeWriters();
  };

  /** Only a mismatch is worth another dial, with a new session; everything else is fatal. */
  #refused(session: SessionHandshaking, code: string, reason: string): void {
    const message = `handshake failed: ${reason}`;
    const isMismatch = code === HandshakeCode.SessionStateMismatch;
    if (!isMismatch) this.#intentOf(session.to).refused();
    this.protocolError({ type: ProtocolError.HandshakeFailed, code, message, sessionId: session.id, peer: session.to });
    if (isMismatch) return this.endSession(session, { code: 'state_mismatch', message });
    this.#giveUp(session, { code: 'handshake_rejected', message }, undefined);
  }

  readonly #settled = (session: SessionConnected): void => this.#intentOf(session.to).settled();
}

function isRehandshakeRequest(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && 'type' in payload && payload.type === 'REHANDSHAKE_REQ';
}
