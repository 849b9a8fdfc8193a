import { Agreements } from './agreements.ts';
import { ClientIndex } from './clientIndex.ts';
import type { Connection } from './connection.ts';
import { HoldfastError, ProtocolError } from './errors.ts';
import { type AcceptedExtensions, acceptedOf, type IdempotencyTerms } from './extensions.ts';
import { HandshakeCode, type HandshakePeer, type ServerHandshake } from './handshake.ts';
import type { IncomingMessage } from './message.ts';
import { type ServerTransportOptions, type SettledServerOptions, settleServerOptions } from './options.ts';
import { PendingHandshakes } from './pendingHandshakes.ts';
import { Rehandshakes } from './rehandshakes.ts';
import { Replaced } from './replaced.ts';
import { type FirstFrame, readFirstFrame } from './request.ts';
import { decideResume } from './resume.ts';
import { SessionCore } from './session/core.ts';
import type { SessionEnvironment } from './session/environment.ts';
import { noClientEvents } from './session/owner.ts';
import { stateBehind } from './session/revocable.ts';
import type { SessionConnected } from './session/SessionConnected.ts';
import type { SessionWaitingForHandshake } from './session/SessionWaitingForHandshake.ts';
import {
  createWaitingForHandshake,
  type Session,
  waitingAndConnectedToConnected,
  waitingAndNoConnectionToConnected,
  waitingToConnected,
} from './session/transitions.ts';
import { agreesWith, describeSession, standingOf } from './standing.ts';
import type { StreamOpener } from './stream.ts';
import { Transport } from './transport.ts';
import { adopt, type Credentials, judgeMetadata, type MetadataVerdict } from './validation.ts';

const PEER_LEFT = 'the peer left before its handshake was done';

/** A handshake request that was read and is being judged. */
type Asked = Extract<FirstFrame, { kind: 'request' }> & { readonly pending: SessionWaitingForHandshake };

/** Accepts and answers: the server's graph. An implementation calls {@link ServerTransport.acceptConnection}. */
export abstract class ServerTransport extends Transport<SettledServerOptions> {
  readonly #pending: PendingHandshakes;
  readonly #rehandshakes: Rehandshakes;
  readonly #environment: SessionEnvironment;
  readonly #replaced: Replaced;
  readonly #index: ClientIndex;
  readonly #agreements = new Agreements();
  #ordinal = 0;
  /** Random per transport: who holds another one spoke to another memory. */
  readonly #instance: string;
  readonly #wallNow = (): number => this.clock.wallNow();
  #handshake: ServerHandshake | undefined;
  #idempotency: IdempotencyTerms | undefined;
  #opener: StreamOpener | undefined;

  /** @param clientId the server's id, which its clients dial */
  constructor(clientId: string = 'SERVER', options: ServerTransportOptions = {}) {
    super(clientId, settleServerOptions(options));
    const { queue } = this;
    this.#pending = new PendingHandshakes({
      clientId,
      maxMessageBytes: this.options.maxMessageBytes,
      newId: () => this.clock.id(),
      log: (level, message, fields) => this.log(level, message, fields),
      protocolError: (event) => this.protocolError(event),
    });
    const rehandshakes = new Rehandshakes({
      handshake: () => this.#handshake,
      now: () => this.clock.now(),
      wallNow: this.#wallNow,
      log: (level, message, fields) => this.log(level, message, fields),
      post: (session, fn) => queue.post(session, fn, undefined),
      expire: (session, message) => this.#expire(session, message),
    });
    this.#rehandshakes = rehandshakes;
    this.#instance = this.clock.id() + this.clock.id();
    this.#index = new ClientIndex(this.options.duplicateClient === 'coexist');
    this.#replaced = new Replaced(this.wheel, this.options.sessionDisconnectGraceMs);
    this.#environment = this.environmentFor({
      onPendingFrame: (pending, frame) => queue.post(pending, this.#pendingFrame, frame),
      onPendingClosed: (pending) => queue.post(pending, this.#peerLeft, undefined),
      onPendingTimeout: (pending) =>
        queue.post(
          pending,
          this.#dropPending,
          `no handshake within handshakeTimeoutMs (${this.options.handshakeTimeoutMs})`,
        ),
      onExpiryNear: (session) => queue.post(session, rehandshakes.ask, undefined),
      onRehandshakeOverdue: (session) => queue.post(session, rehandshakes.overdue, undefined),
      ...this.sharedEvents(),
      ...noClientEvents,
    });
  }

  /** Connections whose handshake is not done. */
  get pendingHandshakes(): number {
    return this.#pending.size;
  }

  /**
   * How to judge handshake metadata, from now on. Without it, any is accepted and none is kept, and of a connection that is
   * accepted meanwhile a later re-handshake sees no headers.
   */
  setHandshake(handshake: ServerHandshake): void {
    this.#handshake = handshake;
  }

  /** How outcomes of keyed calls are kept, from now on; undefined: not at all, and the extension is not accepted. */
  setIdempotency(terms: IdempotencyTerms | undefined): void {
    this.#idempotency = terms;
  }

  /**
   * Hands every message that no open stream waits for to `opener`. Returns how to unbind it.
   * @throws {HoldfastError} `ALREADY_BOUND`
   */
  bindOpener(opener: StreamOpener): () => void {
    if (this.#opener !== undefined)
      throw new HoldfastError('ALREADY_BOUND', `transport ${this.clientId} already serves another router`);
    this.#opener = opener;
    return () => {
      if (this.#opener === opener) this.#opener = undefined;
    };
  }

  /**
   * Asks a client for fresh handshake metadata; its session ends if none that is valid comes in time. Where a handshake of that client
   * is being judged, it is asked again after that.
   */
  requestRehandshake(clientId: string): void {
    this.queue.run(() => {
      this.#rehandshakes.requested(clientId);
      for (const session of this.#sessionsOf(clientId))
        if (session.state === 'Connected') this.#rehandshakes.ask(session);
    });
  }

  /** For implementations: a connection came in. It is closed at once where too many are pending, or after {@link close}. */
  protected acceptConnection(connection: Connection): void {
    // The ordinal is given now, before any frame and whatever the queue is doing: it is the order of arrival.
    const ordinal = this.#ordinal++;
    this.queue.run(() => {
      const { maxPendingHandshakes } = this.options;
      if (this.getStatus() === 'closed' || connection.isEnded) return connection.close();
      if (this.#pending.size >= maxPendingHandshakes) {
        this.log(
          'warn',
          `refused a connection: ${maxPendingHandshakes} handshakes are pending (maxPendingHandshakes)`,
          {},
        );
        return connection.close();
      }
      const pending = createWaitingForHandshake(this.clock.id(), ordinal, connection, this.#environment);
      this.#pending.add(pending);
      stateBehind(pending).onEnter();
    });
  }

  protected override opener(): StreamOpener | undefined {
    return this.#opener;
  }

  protected override keyOf({ to, id }: SessionCore): string {
    return this.#index.keyOf(to, id);
  }

  #sessionsOf(clientId: string): Session[] {
    return [...this.#index.keysOf(clientId)]
      .map((key) => this.sessions.get(key))
      .filter((session) => session !== undefined);
  }

  protected override onClose(): void {
    this.#pending.dropAll('the transport was closed');
    this.#replaced.clear();
  }

  protected override onDisconnected(): void {}

  protected override onHandshakeInterrupted(): void {}

  protected override onEnded(core: SessionCore): void {
    this.#index.remove(core);
  }

  readonly #dropPending = (pending: SessionWaitingForHandshake, reason: string): void =>
    this.#pending.drop(pending, reason);

  readonly #peerLeft = (pending: SessionWaitingForHandshake): void => {
    // Its place is free when it is judged, or its time is over: otherwise there could be more validators under way than places.
    if (pending.requestArrivedAt === undefined) this.#dropPending(pending, PEER_LEFT);
  };

  readonly #pendingFrame = (pending: SessionWaitingForHandshake, frame: Uint8Array): void => {
    if (pending.requestArrivedAt !== undefined) {
      return this.#pending.fail(pending, 'a second frame came before the handshake was answered');
    }
    pending.requestArrived();
    const first = readFirstFrame(frame, this.clientId, this.options);
    switch (first.kind) {
      case 'request':
        return this.#validate({ pending, ...first });
      case 'refused':
        return this.#pending.reject(pending, first.codec, first.to, first.code, first.reason);
      case 'unreadable':
        return this.#pending.fail(pending, first.reason);
      default:
        first satisfies never;
    }
  };

  #validate(asked: Asked): void {
    const { pending, message, request } = asked;
    const old = this.sessions.get(this.#index.keyOf(message.from, request.sessionId))?.core;
    const same = old?.id === request.sessionId ? old : undefined;
    const reason = same === undefined ? 'connect' : 'reconnect';
    const peer = (): HandshakePeer => ({ reason, ...pending.connection.info });
    judgeMetadata(this.#handshake, request.metadata, same?.metadata, message.from, peer, this.#wallNow, (verdict) => {
      // The time may be over while the validator was thinking: post drops what is consumed.
      if (verdict.kind !== 'accepted' && verdict.error !== undefined)
        this.log('error', 'a handshake validator failed', { connectedTo: message.from, error: verdict.error });
      this.queue.post(pending, () => this.#judged(asked, verdict), undefined);
    });
  }

  #judged(asked: Asked, verdict: MetadataVerdict): void {
    const { pending, codec, message } = asked;
    if (pending.connection.isEnded) return this.#dropPending(pending, PEER_LEFT);
    if (verdict.kind === 'accepted') return this.#decide(asked, verdict.credentials);
    // No answer is what a client tries again after, with the session that it has.
    if (verdict.kind === 'failed') return this.#dropPending(pending, verdict.reason);
    this.#pending.reject(pending, codec, message.from, verdict.code, verdict.reason);
  }

  /** Everything from here on is one synchronous turn: what is looked up is still true when it is acted upon. */
  #decide(asked: Asked, credentials: Credentials): void {
    const { pending, codec, message, request } = asked;
    const stranger = this.#sessionsOf(message.from).find((session) => session.core.principal !== credentials.principal);
    const current = this.sessions.get(this.#index.keyOf(message.from, request.sessionId)) ?? stranger;
    const standing = standingOf(this.#instance, current?.core, request);
    const accepted = acceptedOf(request.extensions, this.options, standing, this.#idempotency);
    const decision = decideResume(
      {
        sessionId: request.sessionId,
        expected: request.expectedSessionState,
        ordinal: pending.ordinal,
        principal: credentials.principal,
        agrees: current === undefined || agreesWith(current.core, codec, accepted),
        resume: accepted?.resume === undefined ? undefined : request.extensions?.resume,
      },
      current === undefined ? undefined : describeSession(current),
      this.options.duplicateClient,
      request.extensions !== undefined && this.#replaced.has(message.from, request.sessionId, credentials.principal),
      this.#instance,
    );
    switch (decision.kind) {
      case 'ignore':
        return this.#pending.drop(pending, decision.reason);
      case 'reject':
        return this.#pending.reject(pending, codec, message.from, decision.code, decision.reason);
      case 'resume':
        if (current !== undefined) this.#resume(asked, current, credentials, accepted);
        return;
      case 'replace':
        return this.#begin(asked, credentials, accepted, current);
      case 'new':
        return this.#begin(asked, credentials, accepted, undefined);
      default:
        decision satisfies never;
    }
  }

  #begin(
    asked: Asked,
    credentials: Credentials,
    extensions: AcceptedExtensions | undefined,
    replaced: Session | undefined,
  ): void {
    const { pending, codec, message, request } = asked;
    const { maxSessions } = this.options;
    if (replaced === undefined && this.sessions.size >= maxSessions) {
      const reason = `the server already holds ${maxSessions} sessions (maxSessions)`;
      return this.#pending.reject(pending, codec, message.from, HandshakeCode.SessionStateMismatch, reason);
    }
    const answer = this.#accept(asked, extensions);
    if (answer === undefined) return;
    if (replaced !== undefined) this.#replace(replaced);
    const attributes = { 'holdfast.session_id': request.sessionId, 'holdfast.peer': message.from };
    const span = this.telemetry.startSpan('holdfast.session', 'server', attributes, message.tracing);
    const core = new SessionCore(request.sessionId, this.clientId, message.from, this.#environment, span);
    const initialLimit = extensions?.credit === undefined ? undefined : request.extensions?.credit?.windowBytes;
    core.agree(this.#agreements.of(codec, extensions), pending.requestArrivedAt ?? this.clock.now(), initialLimit);
    if (extensions?.resume !== undefined) core.resumeToken = request.extensions?.resume?.token;
    adopt(core, credentials);
    this.#index.add(core);
    const { requestArrivedAt } = pending;
    this.#attach(waitingToConnected(pending, core, answer), requestArrivedAt, true);
  }

  #attach(session: SessionConnected, requestArrivedAt: number | undefined, isNew = false): void {
    this.install(session, isNew);
    // The verdict may be older than the wish for a new one.
    if (this.#rehandshakes.wasRequestedSince(session.to, requestArrivedAt))
      this.queue.post(session, this.#rehandshakes.ask, undefined);
  }

  #replace(old: Session): void {
    this.#replaced.add(old.to, old.id, old.core.principal);
    this.endSession(old, { code: 'peer_replaced', message: 'the client began another session' });
  }

  /** The old connection is dropped, unconfirmed messages go again: exactly those the client says it lacks. */
  #resume(asked: Asked, session: Session, credentials: Credentials, extensions: AcceptedExtensions | undefined): void {
    const { pending, request } = asked;
    const { core } = session;
    const answer = this.#accept(asked, extensions);
    if (answer === undefined) return;
    // The client counts from the request that was answered. Without `resume` it does not say whether any was.
    const wasAnswered = request.extensions?.resume?.everConnected ?? core.ledger.ack > 0;
    const { requestArrivedAt } = pending;
    if (!wasAnswered && requestArrivedAt !== undefined) core.zero = requestArrivedAt;
    core.confirm(request.expectedSessionState.nextExpectedSeq);
    adopt(core, credentials);
    if (session.state === 'Connected')
      this.#attach(waitingAndConnectedToConnected(pending, session, answer), requestArrivedAt);
    else if (session.state === 'NoConnection')
      this.#attach(waitingAndNoConnectionToConnected(pending, session, answer), requestArrivedAt);
    core.wakeWriters();
  }

  #accept(
    { pending, codec, message, request }: Asked,
    extensions: AcceptedExtensions | undefined,
  ): Uint8Array | undefined {
    const answer = this.#pending.accept(pending, codec, message.from, request.sessionId, extensions);
    if (answer !== undefined && this.#handshake === undefined) pending.connection.forgetInfo();
    return answer;
  }

  #expire(session: SessionConnected, message: string): void {
    const { id: sessionId, to: peer } = session;
    const code = HandshakeCode.RejectedByCustomHandler;
    this.protocolError({ type: ProtocolError.HandshakeFailed, code, message, sessionId, peer });
    this.endSession(session, { code: 'expired', message });
  }

  protected override onRehandshakeMessage(session: SessionConnected, message: IncomingMessage): void {
    this.#rehandshakes.received(session, message);
  }
}
