import type { Connection } from '../connection.ts';
import { FrameTooLargeError, LedgerError } from '../errors.ts';
import { ackMessage, isAckOnly, REHANDSHAKE_STREAM_ID, type TransportMessage } from '../message.ts';
import { decodeFrame, MalformedFrame } from '../wire.ts';
import { IdentifiedState, SessionState } from './common.ts';
import type { FrameSink, SessionCore } from './core.ts';
import { Beat, type Liveness, Watchdog } from './heartbeat.ts';
import { createHandle } from './revocable.ts';
import { verdictAfter } from './verdict.ts';

/** River's clients give up after two of their own seconds without a beat. */
const RIVER_BEAT_MS = 1_000;

/** Who beats. */
export type Role = 'client' | 'server';

/** A connection carries the session: messages flow. */
export class SessionConnected extends IdentifiedState implements FrameSink {
  readonly state = SessionState.Connected;
  readonly handle: SessionConnected;
  readonly connection: Connection;
  readonly #role: Role;
  readonly #answer: Uint8Array | undefined;
  readonly #liveness: Liveness;
  #cancelExpiry: () => void = () => undefined;
  #awaitsRehandshake = false;
  #resent = 0;

  /** @param answer to the handshake that made the connection this session's; the first thing written on it */
  constructor(core: SessionCore, connection: Connection, role: Role, answer?: Uint8Array) {
    super(core);
    this.#answer = answer;
    this.connection = connection;
    this.#role = role;
    this.#liveness = role === 'server' ? this.#createBeat(core) : this.#createWatchdog(core);
    this.handle = createHandle<SessionConnected>(this);
  }

  #createBeat(core: SessionCore): Beat {
    const { clock, options, owner } = core.env;
    const announced = core.agreement?.extensions?.heartbeat?.intervalMs;
    return new Beat(
      clock,
      {
        beat: () => this.#beat(),
        bytesRead: () => this.connection.bytesRead,
        onSilent: () => owner.onPeerSilent(this.handle),
      },
      announced ?? Math.min(options.heartbeatIntervalMs, RIVER_BEAT_MS),
      options.heartbeatsUntilDead,
    );
  }

  #createWatchdog(core: SessionCore): Watchdog {
    const { clock, options, owner } = core.env;
    const announced = core.agreement?.extensions?.heartbeat;
    return new Watchdog(
      clock,
      {
        beat: () => false,
        bytesRead: () => this.connection.bytesRead,
        onSilent: () => owner.onPeerSilent(this.handle),
      },
      announced?.intervalMs ?? options.heartbeatIntervalMs,
      (announced?.misses ?? options.heartbeatsUntilDead) + 2,
    );
  }

  onEnter(): void {
    const { core, connection } = this;
    const { owner, wheel, options } = core.env;
    const span = core.env.telemetry.startSpan(
      'holdfast.connection',
      this.#role,
      { 'holdfast.session_id': core.id },
      core.span,
    );
    this.own(() => span.end());
    // Read before anything is written: a connection may answer within the call that sends.
    this.own(
      connection.attach({
        onData: (frame) => owner.onFrame(this.handle, frame),
        onClose: (error) => {
          // It would be sent again on the next connection, and the next: the session cannot go on.
          if (error instanceof FrameTooLargeError) owner.onViolation(this.handle, error.message);
          else owner.onConnectionClosed(this.handle, error);
        },
      }),
    );
    if (this.#answer !== undefined) connection.send(this.#answer);
    this.#sendAgain();
    core.sink = this;
    core.wasConnected = true;
    this.own(() => {
      core.sink = undefined;
    });
    this.own(this.#liveness.start(wheel));
    this.own(() => this.#cancelExpiry());
    if (this.#role === 'client') {
      const settledMs = core.agreement?.extensions?.heartbeat?.intervalMs ?? options.heartbeatIntervalMs;
      this.own(wheel.after(settledMs, () => owner.onSettled(this.handle)));
    } else {
      this.watchExpiry();
    }
  }

  /** Everything the peer is not known to have, oldest first. */
  #sendAgain(): void {
    const { core } = this;
    let seq = core.ledger.oldestUnackedSeq;
    for (const frame of core.ledger.unacked()) {
      if (!this.connection.send(frame)) return;
      if (seq < core.transmittedSeq) this.#resent += 1;
      seq += 1;
    }
    core.transmittedSeq = Math.max(core.transmittedSeq, seq);
  }

  /** Messages that an earlier connection had carried already and this one carried again. */
  get resent(): number {
    return this.#resent;
  }

  get bufferedBytes(): number {
    return this.connection.bufferedBytes;
  }

  /** Called by the core with what was just appended to the ledger. What does not leave is sent again after a reconnect. */
  transmit(frame: Uint8Array): void {
    if (this.connection.send(frame)) this.core.transmittedSeq = this.core.ledger.nextSeq;
  }

  #beat(): boolean {
    this.#sendAck();
    return !this.connection.isEnded;
  }

  #sendAck(): void {
    try {
      this.core.send(ackMessage());
    } catch (error) {
      // Only a full buffer can refuse it, and then the peer's silence is about to be judged anyway.
      this.core.env.logger.log('warn', 'could not send a heartbeat', { sessionId: this.id, error });
    }
  }

  /** Reads one frame. What its message causes may consume this state, so nothing is touched after the delivery. */
  receive(frame: Uint8Array): void {
    const { core } = this;
    this.#liveness.heard();
    const { agreement } = core;
    if (agreement === undefined) return;
    const message = decodeFrame(agreement.codec, frame, core.env.options.maxMessageBytes);
    if (message instanceof MalformedFrame) {
      return core.env.owner.onViolation(this.handle, `received a frame that is no message: ${message.reason}`);
    }
    if (this.#isAcceptable(message)) this.#take(message, frame.length);
  }

  /** Judges sender, receiver, order and ack, in that order; reports what is wrong. */
  #isAcceptable(message: TransportMessage): boolean {
    const { core } = this;
    const { owner } = core.env;
    if (message.from !== core.to) {
      owner.onViolation(
        this.handle,
        `received a message from '${message.from}', expected the session's peer '${core.to}'`,
      );
      return false;
    }
    if (message.to !== core.from) {
      owner.onViolation(this.handle, `received a message to '${message.to}', expected it to be to '${core.from}'`);
      return false;
    }
    const arrival = core.ledger.judge(message.seq);
    if (arrival === 'duplicate') return false;
    if (arrival === 'gap') {
      owner.onGap(this.handle, `expected seq ${core.ledger.ack}, got ${message.seq}`);
      return false;
    }
    try {
      core.ledger.confirm(message.ack);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      owner.onViolation(this.handle, `received an impossible ack: ${error.message}`);
      return false;
    }
    return true;
  }

  #take(message: TransportMessage, bytes: number): void {
    const { core } = this;
    core.ledger.advance();
    if (isAckOnly(message.controlFlags)) {
      // The server discards answers; the client answers every beat, at once, and starts none.
      if (this.#role === 'client') this.#sendAck();
    } else {
      core.unackedMessages += 1;
      core.unackedBytes += bytes;
      if (message.streamId === REHANDSHAKE_STREAM_ID) core.env.owner.onRehandshakeMessage(this.handle, message);
      else core.deliver(message);
      this.#acknowledgeIfDue(core);
    }
    core.wakeWriters();
  }

  /** Bounds what the peer has to keep by traffic, not by the heartbeat interval. */
  #acknowledgeIfDue(core: SessionCore): void {
    const { ackAfterMessages, ackAfterBytes } = core.env.options;
    if (core.unackedMessages < ackAfterMessages && core.unackedBytes < ackAfterBytes) return;
    if (!this._isConsumed) this.#sendAck();
  }

  /** Server: asks for fresh metadata one handshake's time before the credential ends. */
  watchExpiry(): void {
    this.#cancelExpiry();
    this.#awaitsRehandshake = false;
    const { core } = this;
    if (core.expiresAt === undefined) return;
    const { clock, options, wheel, owner } = core.env;
    const inMs = core.expiresAt - options.handshakeTimeoutMs - clock.wallNow();
    this.#cancelExpiry = wheel.after(Math.max(0, inMs), () => owner.onExpiryNear(this.handle));
  }

  /** Server: true between asking for a re-handshake and the end of the wait for it. */
  get awaitsRehandshake(): boolean {
    return this.#awaitsRehandshake;
  }

  /** Server: a re-handshake was asked for; bounds the wait for its answer by the credential's end. */
  awaitRehandshake(): void {
    this.#cancelExpiry();
    this.#awaitsRehandshake = true;
    const { core } = this;
    const { clock, options, owner } = core.env;
    const untilExpiry = core.expiresAt === undefined ? options.handshakeTimeoutMs : core.expiresAt - clock.wallNow();
    const inMs = Math.min(options.handshakeTimeoutMs, untilExpiry);
    this.#cancelExpiry = verdictAfter(core.env, inMs, () => owner.onRehandshakeOverdue(this.handle));
  }

  protected onClose(): void {
    this.connection.close();
  }
}
