import type { Codec } from '../../codec/codec.ts';
import type { CancelTimer, Clock } from '../clock.ts';
import { encodeCompact } from '../compact.ts';
import { HoldfastError, SessionBufferFullError, SessionClosedError, TooManyStreamsError } from '../errors.ts';
import type { AgreedExtensions } from '../extensions.ts';
import type { Logger } from '../log.ts';
import {
  ControlFlags,
  type IncomingMessage,
  isAckOnly,
  isClosePayload,
  type OutgoingMessage,
  REHANDSHAKE_STREAM_ID,
  type TransportMessage,
} from '../message.ts';
import type { SettledTransportOptions } from '../options.ts';
import type { SessionEnd, SessionPort, StreamOpener, StreamReceiver } from '../stream.ts';
import type { Telemetry, TracedSpan } from '../telemetry.ts';
import { callSafely, isThenable } from '../thenable.ts';
import type { TimerWheel } from '../wheel.ts';
import { encodeFrame } from '../wire.ts';
import { Ledger } from './ledger.ts';
import { Outbox } from './outbox.ts';
import type { SessionOwner } from './owner.ts';

/** What all sessions of one transport share. */
export interface SessionEnvironment {
  readonly owner: SessionOwner;
  readonly options: SettledTransportOptions;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Where states' events wait for their turn. */
  readonly queue: { readonly hasWaiting: boolean };
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Server: who gets messages that no open stream waits for. */
  readonly opener: () => StreamOpener | undefined;
}

/** What a session's two sides agreed on with its first answer, for good. A server's sessions share what is equal. */
export interface Agreement {
  readonly codec: Codec;
  /** Undefined: the peer speaks River v2.0 and nothing else. */
  readonly extensions: AgreedExtensions | undefined;
}

/** Closing and cancelling must get through a full buffer: this much is kept for them. */
const CONTROL_RESERVE_BYTES = 256 * 1024;

/** What a message costs besides its bytes: the objects around them. Without it many small ones would hold several times the limit. */
const MESSAGE_OVERHEAD_BYTES = 192;

/** The state that can transmit: Connected. */
export interface FrameSink {
  /** Bytes that its connection has taken and not passed on. */
  readonly bufferedBytes: number;
  /** There is more in the ledger: it leaves with everything else that this turn sends. */
  flushSoon(): void;
}

/**
 * Everything of a session that outlives a transition: one object, moved by reference from state to state. A new
 * surviving field is one edit here. The router sees it as a {@link SessionPort}.
 */
export class SessionCore implements SessionPort {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly env: SessionEnvironment;
  readonly span: TracedSpan;
  readonly ledger = new Ledger();
  /** Until the first answer: it decides the codec and the extensions, so nothing is framed before it. */
  agreement: Agreement | undefined;
  /** Where session time begins, on our clock; meaningful from the first answer on. */
  zero = 0;
  /** When the peer has been away too long, on our clock. One absolute deadline: retries do not move it. */
  graceDeadline: number;
  /** Proves whose session it is, where `resume` is spoken: chosen by the client, kept by the server. Never logged. */
  resumeToken: string | undefined;
  /** Server: ordinal of the connection that last attached. */
  attachedOrdinal = -1;
  /** Server: what the validator returned last. */
  metadata: object | undefined;
  /** Server: whom the client id belongs to while this session lives. */
  principal: string | undefined;
  /** Server: when the credential ends, milliseconds since the epoch. */
  expiresAt: number | undefined;
  /** Received since we last sent an `ack`: the other side keeps these until it hears of them. */
  unackedMessages = 0;
  unackedBytes = 0;
  /** Everything below this seq was handed to a connection at least once. */
  transmittedSeq = 0;
  /** True once a connection has carried this session. */
  wasConnected = false;
  /** The state that carries frames now; set and cleared by SessionConnected. */
  sink: FrameSink | undefined;
  /** Set once, by {@link end}. */
  #ended: SessionEnd | undefined;
  /** Only until the first answer. */
  #outbox: Outbox | undefined;
  #writeWaiters: Set<() => void> | undefined;
  /** Made for the first stream: most sessions of a large server are idle. */
  #streams: Map<string, StreamReceiver> | undefined;
  #streamIds = 0;

  constructor(id: string, from: string, to: string, env: SessionEnvironment, span: TracedSpan) {
    this.id = id;
    this.from = from;
    this.to = to;
    this.env = env;
    this.span = span;
    this.graceDeadline = env.clock.now() + env.options.sessionDisconnectGraceMs;
  }

  get clock(): Clock {
    return this.env.clock;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  get isConnected(): boolean {
    return this.sink !== undefined;
  }

  get speaksExtensions(): boolean {
    return this.agreement?.extensions !== undefined;
  }

  get streamCount(): number {
    return this.#streams?.size ?? 0;
  }

  send(message: OutgoingMessage): void {
    this.#accept(message);
    this.sink?.flushSoon();
  }

  newStreamId(): string {
    this.#streamIds += 1;
    return String(this.#streamIds);
  }

  /** The peer is gone from now on. */
  startGrace(): void {
    this.graceDeadline = this.env.clock.now() + this.env.options.sessionDisconnectGraceMs;
  }

  get bufferedBytes(): number {
    // A peer may acknowledge what it has not read: what its connection still holds counts as well.
    const held = Math.max(this.ledger.unackedBytes, this.sink?.bufferedBytes ?? 0);
    return held + this.ledger.unackedCount * MESSAGE_OVERHEAD_BYTES + (this.#outbox?.bytes ?? 0);
  }

  /** Into the ledger, or, while the session waits for its first answer, into the outbox. */
  #accept(message: OutgoingMessage): void {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'sending');
    const { agreement } = this;
    if (agreement === undefined) {
      const { codec, maxMessageBytes } = this.env.options;
      this.#outbox ??= new Outbox(codec, maxMessageBytes, this.from, this.to);
      this.#outbox.push(message, (bytes) => this.#assertRoom(message, bytes));
      return;
    }
    // Every frame acknowledges; River needs a message for it.
    if (this.isCompact && isAckOnly(message.controlFlags)) return;
    const frame = this.#frame(message, agreement);
    this.#assertRoom(message, frame.length);
    this.ledger.append(frame);
    // On River's wire it carries the ack of this moment.
    if (!this.isCompact) this.acknowledged();
  }

  /** The peer is told what has arrived. */
  acknowledged(): void {
    this.unackedMessages = 0;
    this.unackedBytes = 0;
  }

  /** Frames carry many messages; otherwise each is one, with an envelope. */
  get isCompact(): boolean {
    return this.agreement?.extensions?.compact !== undefined;
  }

  #assertRoom(message: OutgoingMessage, bytes: number): void {
    const isControl =
      message.streamId === REHANDSHAKE_STREAM_ID ||
      (message.controlFlags & (ControlFlags.AckOnly | ControlFlags.StreamCancel)) !== 0 ||
      ((message.controlFlags & ControlFlags.StreamClose) !== 0 && isClosePayload(message.payload));
    const limit = this.env.options.maxSessionBufferBytes + (isControl ? CONTROL_RESERVE_BYTES : 0);
    if (this.bufferedBytes + bytes > limit) throw new SessionBufferFullError(this.bufferedBytes + bytes, limit);
  }

  /** Takes back what waits for the first answer. */
  unsend(streamId: string): boolean {
    const opened = this.#outbox?.remove(streamId) ?? false;
    this.ledger.lowerWaiters(this.#expectedNextSeq);
    return opened;
  }

  /**
   * The first answer has come: frames what waited. It is sent with everything else that is unacknowledged.
   * @param zero where session time begins, on our clock
   */
  agree(agreement: Agreement, zero: number): void {
    this.agreement = agreement;
    this.zero = zero;
    const outbox = this.#outbox;
    this.#outbox = undefined;
    for (const message of outbox?.drain() ?? []) {
      if (this.isCompact && isAckOnly(message.controlFlags)) continue;
      try {
        this.ledger.append(this.#frame(message, agreement));
      } catch (error) {
        // It was encoded once already; a codec that now refuses it must not take the whole session down.
        this.#failStream(message.streamId, error);
      }
    }
  }

  #failStream(streamId: string, error: unknown): void {
    this.env.logger.log('error', 'a message could not be encoded', { sessionId: this.id, streamId, error });
    const receiver = this.#streams?.get(streamId);
    this.#streams?.delete(streamId);
    if (receiver !== undefined)
      this.#tellEnd(receiver, { code: 'closed_locally', message: 'a message could not be encoded' });
  }

  /** What is kept of a message until it is confirmed: on River's wire a frame, otherwise a part of one. */
  #frame(message: OutgoingMessage, agreement: Agreement): Uint8Array {
    const { maxMessageBytes } = this.env.options;
    if (agreement.extensions?.compact !== undefined)
      return encodeCompact(agreement.codec, message, this.#deadlineOf(message, agreement), maxMessageBytes);
    for (;;) {
      const { nextSeq } = this.ledger;
      const frame = encodeFrame(agreement.codec, this.#envelope(message, agreement), maxMessageBytes);
      // A getter of the payload may have sent something meanwhile, which then has the number.
      if (this.ledger.nextSeq === nextSeq) return frame;
    }
  }

  #envelope(message: OutgoingMessage, agreement: Agreement): TransportMessage {
    if (message.serviceName !== undefined) return this.#openingEnvelope(message, agreement);
    return {
      id: this.env.clock.id(),
      from: this.from,
      to: this.to,
      seq: this.ledger.nextSeq,
      ack: this.ledger.ack,
      streamId: message.streamId,
      controlFlags: message.controlFlags,
      payload: message.payload,
    };
  }

  #openingEnvelope(message: OutgoingMessage, agreement: Agreement): TransportMessage {
    const envelope: TransportMessage = {
      id: this.env.clock.id(),
      from: this.from,
      to: this.to,
      seq: this.ledger.nextSeq,
      ack: this.ledger.ack,
      streamId: message.streamId,
      controlFlags: message.controlFlags,
      serviceName: message.serviceName,
      procedureName: message.procedureName,
      tracing: message.tracing,
      payload: message.payload,
    };
    const deadline = this.#deadlineOf(message, agreement);
    if (deadline !== undefined) envelope.deadline = deadline;
    return envelope;
  }

  /** In session time, towards a peer that knows of deadlines. */
  #deadlineOf({ deadlineAt }: OutgoingMessage, { extensions }: Agreement): number | undefined {
    if (deadlineAt === undefined || extensions?.deadline === undefined) return undefined;
    return Math.max(0, Math.round(deadlineAt - this.zero));
  }

  /** Hands a message to its stream, or to the server's opener. Receivers do not throw; if one does, only it is at fault. */
  deliver(message: IncomingMessage): void {
    // Only where it was agreed on: there is no session time with anybody else.
    if (message.deadline !== undefined && this.agreement?.extensions?.deadline !== undefined) {
      message.deadlineAt = this.zero + message.deadline;
    }
    const receiver = this.#streams?.get(message.streamId);
    try {
      const outcome: unknown =
        receiver === undefined ? this.env.opener()?.onUnclaimedMessage(this, message) : receiver.onMessage(message);
      // Declared to return nothing; whoever implements it as an async function may still reject.
      if (isThenable(outcome))
        Promise.resolve(outcome).catch((error: unknown) => this.#receiverFailed(error, message.streamId));
    } catch (error) {
      this.#receiverFailed(error, message.streamId);
    }
  }

  #receiverFailed(error: unknown, streamId?: string): void {
    this.env.logger.log('error', 'a receiver of messages failed', { sessionId: this.id, streamId, error });
  }

  openStream(streamId: string, receiver: StreamReceiver): void {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'opening a stream');
    this.#streams ??= new Map();
    if (this.#streams.has(streamId))
      throw new HoldfastError('STREAM_IN_USE', `stream ${streamId} is already open in this session`);
    const { maxStreamsPerSession } = this.env.options;
    if (this.#streams.size >= maxStreamsPerSession) throw new TooManyStreamsError(maxStreamsPerSession);
    this.#streams.set(streamId, receiver);
  }

  closeStream(streamId: string): void {
    this.#streams?.delete(streamId);
  }

  /** Ids of the streams that are open; a snapshot. */
  get openStreams(): readonly string[] {
    return [...(this.#streams?.keys() ?? [])];
  }

  hasStream(streamId: string): boolean {
    return this.#streams?.has(streamId) ?? false;
  }

  onceConfirmed(fn: () => void): CancelTimer {
    return this.ledger.onceConfirmed(this.#expectedNextSeq, () =>
      callSafely(fn, (error) => this.#receiverFailed(error)),
    );
  }

  /** The seq after everything that was sent, once it is framed. */
  get #expectedNextSeq(): number {
    return this.ledger.nextSeq + (this.#outbox?.length ?? 0);
  }

  get isWriteReady(): boolean {
    return this.bufferedBytes <= this.env.options.sessionHighWaterBytes;
  }

  overflow(message: string): void {
    if (this.isOpen) this.env.owner.onOverflow(this, message);
  }

  onceWriteReady(fn: () => void): CancelTimer {
    this.#writeWaiters ??= new Set();
    this.#writeWaiters.add(fn);
    return () => this.#writeWaiters?.delete(fn);
  }

  /** After something was confirmed. */
  wakeWriters(): void {
    const waiters = this.#writeWaiters;
    if (waiters === undefined || !this.isWriteReady) return;
    this.#writeWaiters = undefined;
    for (const fn of waiters) callSafely(fn, (error) => this.#receiverFailed(error));
  }

  /** Ends the session: every open stream learns of it exactly once, and nothing is delivered or accepted afterwards. */
  end(end: SessionEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    this.#outbox = undefined;
    this.#writeWaiters = undefined;
    this.ledger.dropWaiters();
    const streams = this.#streams;
    this.#streams = undefined;
    for (const receiver of streams?.values() ?? []) this.#tellEnd(receiver, end);
    callSafely(
      () => this.env.opener()?.onSessionEnded(this),
      (error) => this.#receiverFailed(error),
    );
    this.span.end();
  }

  #tellEnd(receiver: StreamReceiver, end: SessionEnd): void {
    callSafely(
      () => receiver.onSessionEnd(end),
      (error) => this.#receiverFailed(error),
    );
  }
}
