import type { Codec } from '../../codec/codec.ts';
import { CompactFrameReader, FrameFlags } from '../compact.ts';
import type { Connection, ConnectionReceiver } from '../connection.ts';
import { FrameTooLargeError, LedgerError } from '../errors.ts';
import {
  ackMessage,
  type IncomingMessage,
  isAckOnly,
  REHANDSHAKE_STREAM_ID,
  type TransportMessage,
} from '../message.ts';
import type { TracedSpan } from '../telemetry.ts';
import { decodeFrame, MalformedFrame } from '../wire.ts';
import { IdentifiedState, SessionState } from './common.ts';
import type { FrameSink, SessionCore } from './core.ts';
import { Beat, type Liveness, type LivenessHooks, Watchdog } from './heartbeat.ts';
import { createHandle } from './revocable.ts';
import { Sender } from './sender.ts';
import { verdictAfter } from './verdict.ts';

/** River's clients give up after two of their own seconds without a beat. */
const RIVER_BEAT_MS = 1_000;

/** Who beats. */
export type Role = 'client' | 'server';

/** A connection carries the session: messages flow. */
export class SessionConnected extends IdentifiedState implements FrameSink, ConnectionReceiver, LivenessHooks {
  readonly state = SessionState.Connected;
  readonly handle: SessionConnected;
  readonly connection: Connection;
  readonly #role: Role;
  #answer: Uint8Array | undefined;
  #span: TracedSpan | undefined;
  #detach: (() => void) | undefined;
  #stopLiveness: (() => void) | undefined;
  readonly #liveness: Liveness;
  readonly #sender: Sender;
  #cancelExpiry: (() => void) | undefined;
  #awaitsRehandshake = false;
  #isFlushing = false;

  /** @param answer to the handshake that made the connection this session's; the first thing written on it */
  constructor(core: SessionCore, connection: Connection, role: Role, answer?: Uint8Array) {
    super(core);
    this.#answer = answer;
    this.connection = connection;
    this.#role = role;
    this.#sender = new Sender(core, connection);
    this.#liveness = role === 'server' ? this.#createBeat(core) : this.#createWatchdog(core);
    this.handle = createHandle<SessionConnected>(this);
  }

  #createBeat({ env, agreement }: SessionCore): Beat {
    const { heartbeatIntervalMs, heartbeatsUntilDead } = env.options;
    const announced = agreement?.extensions?.heartbeat?.intervalMs;
    return new Beat(env.clock, this, announced ?? Math.min(heartbeatIntervalMs, RIVER_BEAT_MS), heartbeatsUntilDead);
  }

  #createWatchdog({ env, agreement }: SessionCore): Watchdog {
    const { heartbeatIntervalMs, heartbeatsUntilDead } = env.options;
    const announced = agreement?.extensions?.heartbeat;
    const limit = (announced?.misses ?? heartbeatsUntilDead) + 2;
    return new Watchdog(env.clock, this, announced?.intervalMs ?? heartbeatIntervalMs, limit);
  }

  onEnter(): void {
    const { core, connection } = this;
    const { owner, wheel, options, telemetry } = core.env;
    const attributes = { 'holdfast.session_id': core.id };
    this.#span = telemetry.startSpan('holdfast.connection', this.#role, attributes, core.span);
    // Read before anything is written: a connection may answer within the call that sends.
    this.#detach = connection.attach(this);
    connection.cork();
    if (this.#answer !== undefined) connection.send(this.#answer);
    this.#answer = undefined;
    this.#sender.flush();
    connection.uncork();
    core.sink = this;
    core.wasConnected = true;
    this.#stopLiveness = this.#liveness.start(wheel);
    if (this.#role === 'client') {
      const settledMs = core.agreement?.extensions?.heartbeat?.intervalMs ?? options.heartbeatIntervalMs;
      this.own(wheel.after(settledMs, () => owner.onSettled(this.handle)));
    } else {
      this.watchExpiry();
    }
  }

  protected override onExit(): void {
    this.#cancelExpiry?.();
    this.#stopLiveness?.();
    this.core.sink = undefined;
    this.#detach?.();
    this.#span?.end();
  }

  /** The connection has read a frame. */
  onData(frame: Uint8Array): void {
    // Not the handle: it would cost a quarter of a message.
    this.core.env.owner.onFrame(this, frame);
  }

  /** The connection has ended. */
  onClose(error: unknown): void {
    const { owner } = this.core.env;
    // It would be sent again on the next connection, and the next: the session cannot go on.
    if (error instanceof FrameTooLargeError) owner.onViolation(this.handle, error.message);
    else owner.onConnectionClosed(this.handle, error);
  }

  bytesRead(): number | undefined {
    return this.connection.bytesRead;
  }

  /** The peer has been silent for too long. */
  onSilent(): void {
    this.core.env.owner.onPeerSilent(this.handle);
  }

  /** Sends what is there once this turn has sent all it wants to. */
  flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    // A microtask: what the promises of one turn send leaves together, and nothing waits for the next turn.
    queueMicrotask(() => {
      this.#isFlushing = false;
      if (!this._isConsumed) this.core.env.owner.onFlushDue(this);
    });
  }

  /** Sends what is there, now. */
  flush(): void {
    this.#sender.flush();
  }

  /** Messages that an earlier connection had carried already and this one carried again. */
  get resent(): number {
    return this.#sender.resent;
  }

  get bufferedBytes(): number {
    return this.connection.bufferedBytes;
  }

  /** The server beats; the client's watchdog only looks. */
  beat(): boolean {
    if (this.#role === 'client') return false;
    this.#acknowledge(FrameFlags.WantReply);
    return !this.connection.isEnded;
  }

  /** Says what has arrived, at once, and with it whatever else there is to say. */
  #acknowledge(flags = 0): void {
    if (!this.core.isCompact) return this.#sendAckMessage();
    const isSaid = this.#sender.flush();
    if (!isSaid || flags !== 0) this.#sender.sendEmpty(flags);
  }

  /** River has no other way: an acknowledgement is a message, too. */
  #sendAckMessage(): void {
    try {
      this.core.send(ackMessage());
      this.#sender.flush();
    } catch (error) {
      // Only a full buffer can refuse it, and then the peer's silence is about to be judged anyway.
      this.core.env.logger.log('warn', 'could not send a heartbeat', { sessionId: this.core.id, error });
    }
  }

  /** Reads one frame. What its message causes may consume this state, so nothing is touched after the delivery. */
  receive(frame: Uint8Array): void {
    const { core } = this;
    this.#liveness.heard();
    const { agreement } = core;
    if (agreement === undefined) return;
    if (core.isCompact) return this.#receiveCompact(agreement.codec, frame);
    const message = decodeFrame(agreement.codec, frame, core.env.options.maxMessageBytes);
    if (message instanceof MalformedFrame) return this.#violated(message);
    if (this.#isAcceptable(message)) this.#deliver(message, frame.length);
  }

  #violated({ reason }: MalformedFrame): void {
    this.core.env.owner.onViolation(this.handle, `received a frame that is no message: ${reason}`);
  }

  #receiveCompact(codec: Codec, frame: Uint8Array): void {
    const { core } = this;
    const { ledger } = core;
    const { maxMessageBytes } = core.env.options;
    if (frame.length > maxMessageBytes)
      return this.#violated(new MalformedFrame(`expected at most ${maxMessageBytes} bytes, got ${frame.length}`));
    const reader = CompactFrameReader.open(codec, frame);
    if (reader instanceof MalformedFrame) return this.#violated(reader);
    if (ledger.judge(reader.firstSeq) === 'gap')
      return core.env.owner.onGap(this.handle, `expected seq ${ledger.ack}, got ${reader.firstSeq}`);
    if (!this.#confirm(reader.ack)) return;
    let seq = reader.firstSeq;
    for (; reader.hasMore && seq < ledger.ack; seq++) {
      const fault = reader.skip();
      if (fault !== undefined) return this.#violated(fault);
    }
    const before = seq;
    for (; reader.hasMore; seq++) {
      const message = reader.next(seq);
      if (message instanceof MalformedFrame) return this.#violated(message);
      ledger.advance();
      core.unackedMessages += 1;
      this.#hand(message);
      // What it caused may have ended the session, or moved it on: the rest comes again.
      if (this._isConsumed) return;
    }
    // What brings nothing needs no acknowledgement: two sides would acknowledge each other's for ever.
    if (seq > before) core.unackedBytes += frame.length;
    core.wakeWriters();
    this.#acknowledgeIfDue(core);
    if ((reader.flags & FrameFlags.WantReply) !== 0 && this.#role === 'client') this.#acknowledge();
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
    return this.#confirm(message.ack);
  }

  #confirm(ack: number): boolean {
    const { core } = this;
    try {
      core.ledger.confirm(ack);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      core.env.owner.onViolation(this.handle, `received an impossible ack: ${error.message}`);
      return false;
    }
    return true;
  }

  #deliver(message: TransportMessage, bytes: number): void {
    const { core } = this;
    core.ledger.advance();
    if (isAckOnly(message.controlFlags)) {
      // The server discards answers; the client answers every beat, at once, and starts none.
      if (this.#role === 'client') this.#sendAckMessage();
    } else {
      core.unackedMessages += 1;
      core.unackedBytes += bytes;
      this.#hand(message);
      this.#acknowledgeIfDue(core);
    }
    core.wakeWriters();
  }

  #hand(message: IncomingMessage): void {
    const { core } = this;
    if (message.streamId === REHANDSHAKE_STREAM_ID) core.env.owner.onRehandshakeMessage(this.handle, message);
    else core.deliver(message);
  }

  /** Bounds what the peer has to keep by traffic, not by the heartbeat interval. */
  #acknowledgeIfDue(core: SessionCore): void {
    const { ackAfterMessages, ackAfterBytes } = core.env.options;
    if (core.unackedMessages < ackAfterMessages && core.unackedBytes < ackAfterBytes) return;
    if (!this._isConsumed) this.#acknowledge();
  }

  /** Server: asks for fresh metadata one handshake's time before the credential ends. */
  watchExpiry(): void {
    this.#cancelExpiry?.();
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
    this.#cancelExpiry?.();
    this.#awaitsRehandshake = true;
    const { core } = this;
    const { clock, options, owner } = core.env;
    const untilExpiry = core.expiresAt === undefined ? options.handshakeTimeoutMs : core.expiresAt - clock.wallNow();
    const inMs = Math.min(options.handshakeTimeoutMs, untilExpiry);
    this.#cancelExpiry = verdictAfter(core.env, inMs, () => owner.onRehandshakeOverdue(this.handle));
  }

  protected onEnd(): void {
    this.connection.close();
  }
}
