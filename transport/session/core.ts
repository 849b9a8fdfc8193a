import type { Codec } from '../../codec/codec.ts';
import type { CancelTimer, Clock } from '../clock.ts';
import type { Credit } from '../compact.ts';
import { SessionBufferFullError, SessionClosedError } from '../errors.ts';
import type { AgreedExtensions } from '../extensions.ts';
import type { Logger } from '../log.ts';
import {
  ControlFlags,
  type IncomingMessage,
  isAckOnly,
  isClosePayload,
  isStreamCancel,
  type OutgoingMessage,
  REHANDSHAKE_STREAM_ID,
} from '../message.ts';
import type { SettledTransportOptions } from '../options.ts';
import type { SessionEnd, SessionPort, StreamOpener, StreamReceiver } from '../stream.ts';
import type { Telemetry, TracedSpan } from '../telemetry.ts';
import { callSafely, isThenable } from '../thenable.ts';
import type { TimerWheel } from '../wheel.ts';
import { Ledger } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { encodeOutgoing } from './outgoing.ts';
import type { SessionOwner } from './owner.ts';
import type { StreamFlow } from './streamFlow.ts';
import { costOf, StreamTable } from './streamTable.ts';
import type { TurnEnd } from './turnEnd.ts';

/** What all sessions of one transport share. */
export interface SessionEnvironment {
  readonly owner: SessionOwner;
  readonly options: SettledTransportOptions;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Where states' events wait for their turn. */
  readonly queue: { readonly hasWaiting: boolean };
  /** What this turn's sessions have to send. */
  readonly flushes: TurnEnd;
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

/** A stream may hold one of so many shares of what is free: what the peer may send shrinks as room does. */
const SHARES = 16;

const NO_CREDITS: readonly Credit[] = [];

/** The state that can transmit: Connected. */
export interface FrameSink {
  /** Bytes that its connection has taken and not passed on. */
  readonly bufferedBytes: number;
  /** There is more in the ledger: it leaves with everything else that this turn sends. */
  flushSoon(bytes?: number): void;
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
  /** Frames carry many messages; otherwise each is one, with an envelope. */
  isCompact = false;
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
  /** Whoever waits for room in the session, and on which stream it wants to write. */
  #writeWaiters: Map<() => void, string> | undefined;
  /** Made for the first stream: most sessions of a large server are idle. */
  #streams: StreamTable | undefined;
  /** Server: what the client lets us send on each stream from its start, where `credit` is agreed on. */
  #initialLimit: number | undefined;
  /** What of the budget this session was last counted for. */
  #counted = 0;
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
    const bytes = this.#accept(message);
    this.sink?.flushSoon(bytes);
  }

  newStreamId(): string {
    this.#streamIds += 1;
    return String(this.#streamIds);
  }

  /** The peer is gone from now on. */
  startGrace(): void {
    this.graceDeadline = this.env.clock.now() + this.env.options.sessionDisconnectGraceMs;
  }

  /** What is kept for the peer: not confirmed, waiting for credit, or for the first answer. */
  get bufferedBytes(): number {
    const { ledger } = this;
    const streams = this.#streams;
    // A peer may acknowledge what it has not read: what its connection still holds counts as well.
    const unconfirmed = Math.max(ledger.unackedBytes, this.sink?.bufferedBytes ?? 0);
    const messages = ledger.unackedCount + (streams?.waitingCount ?? 0);
    const waiting = (streams?.waitingBytes ?? 0) + (this.#outbox?.bytes ?? 0);
    return unconfirmed + messages * MESSAGE_OVERHEAD_BYTES + waiting;
  }

  /** Tells the budget what this session holds by now. */
  count(): void {
    this.#countAs(this.#ended === undefined ? this.bufferedBytes + (this.#streams?.heldCost ?? 0) : 0);
  }

  #countAs(held: number): void {
    if (held === this.#counted) return;
    this.env.options.budget.changed(this.#counted, held);
    this.#counted = held;
  }

  /** What one session may hold: its own limit, or what all sessions together have left. */
  get #mostBytes(): number {
    const { maxSessionBufferBytes, budget } = this.env.options;
    return Math.min(maxSessionBufferBytes, budget.mostFor(this.#counted));
  }

  /** Into the ledger, or, while the session waits for its first answer, into the outbox. Returns its bytes. */
  #accept(message: OutgoingMessage): number {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'sending');
    const { agreement } = this;
    if (agreement === undefined) {
      const { codec, maxMessageBytes } = this.env.options;
      this.#outbox ??= new Outbox(codec, maxMessageBytes, this.from, this.to);
      this.#outbox.push(message, (bytes) => this.#assertRoom(message, bytes));
      return 0;
    }
    // Every frame acknowledges; River needs a message for it.
    if (this.isCompact && isAckOnly(message.controlFlags)) return 0;
    const flow = this.#streams?.get(message.streamId);
    const frame = encodeOutgoing(this, message, agreement, flow?.number);
    // Whatever it wanted to say before is not wanted any more.
    if (flow !== undefined && isStreamCancel(message.controlFlags)) this.#streams?.discard(flow);
    const buffered = this.bufferedBytes;
    this.#assertRoom(message, frame.length, buffered, flow);
    this.#append(message.controlFlags, frame, flow);
    // On River's wire it carries the ack of this moment.
    if (!this.isCompact) this.acknowledged();
    this.#countAs(buffered + frame.length + MESSAGE_OVERHEAD_BYTES + (this.#streams?.heldCost ?? 0));
    return frame.length;
  }

  /** Into the ledger, or, without credit, behind what waits for some. */
  #append(controlFlags: number, frame: Uint8Array, flow: StreamFlow | undefined): void {
    const cost = costOf(controlFlags, frame.length);
    if (flow === undefined || flow.take(cost)) this.ledger.append(frame);
    else this.#streams?.wait(flow, frame, cost);
  }

  /**
   * Everything below `ack` has arrived at the peer.
   * @throws {LedgerError} if it was never sent
   */
  confirm(ack: number): void {
    if (this.ledger.confirm(ack)) this.count();
  }

  /** The peer is told what has arrived. */
  acknowledged(): void {
    this.unackedMessages = 0;
    this.unackedBytes = 0;
  }

  #assertRoom(message: OutgoingMessage, bytes: number, buffered = this.bufferedBytes, flow?: StreamFlow): void {
    const isControl =
      message.streamId === REHANDSHAKE_STREAM_ID ||
      (message.controlFlags & (ControlFlags.AckOnly | ControlFlags.StreamCancel)) !== 0 ||
      ((message.controlFlags & ControlFlags.StreamClose) !== 0 && isClosePayload(message.payload));
    const { maxStreamBufferBytes, maxSessionBufferBytes } = this.env.options;
    const most = this.#mostBytes;
    const wanted = buffered + bytes;
    // However little all sessions have left: that calls end must be said.
    const limit = isControl ? maxSessionBufferBytes + CONTROL_RESERVE_BYTES : most;
    if (wanted > limit) {
      const what = limit < maxSessionBufferBytes ? 'what the budget of all sessions leaves' : 'maxSessionBufferBytes';
      throw new SessionBufferFullError(`${wanted} unconfirmed bytes would exceed ${what} (${limit})`);
    }
    if (isControl || flow === undefined || flow.waitingCount === 0) return;
    // No stream takes more than what it leaves to the others.
    const streamLimit = Math.min(maxStreamBufferBytes, most - buffered);
    const waiting = flow.waitingBytes + flow.waitingCount * MESSAGE_OVERHEAD_BYTES + bytes;
    if (waiting > streamLimit) {
      const what = `the peer does not read stream ${flow.id}: ${waiting} bytes waiting`;
      throw new SessionBufferFullError(`${what} would exceed maxStreamBufferBytes (${streamLimit})`);
    }
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
   * @param initialLimit where `credit` is agreed on: what the peer lets us send on each stream from its start
   */
  agree(agreement: Agreement, zero: number, initialLimit?: number): void {
    this.agreement = agreement;
    this.isCompact = agreement.extensions?.compact !== undefined;
    this.zero = zero;
    this.#initialLimit = initialLimit;
    if (initialLimit !== undefined) this.#streams?.agree(initialLimit);
    const outbox = this.#outbox;
    this.#outbox = undefined;
    for (const message of outbox?.drain() ?? []) {
      if (this.isCompact && isAckOnly(message.controlFlags)) continue;
      try {
        const frame = encodeOutgoing(this, message, agreement, undefined);
        this.#append(message.controlFlags, frame, this.#streams?.get(message.streamId));
      } catch (error) {
        // It was encoded once already; a codec that now refuses it must not take the whole session down.
        this.#failStream(message.streamId, error);
      }
    }
  }

  #failStream(streamId: string, error: unknown): void {
    this.env.logger.log('error', 'a message could not be encoded', { sessionId: this.id, streamId, error });
    const receiver = this.#streams?.get(streamId)?.receiver;
    this.closeStream(streamId);
    if (receiver !== undefined)
      this.#tellEnd(receiver, { code: 'closed_locally', message: 'a message could not be encoded' });
  }

  /**
   * Hands a message to its stream, or to the server's opener. Receivers do not throw; if one does, only it is at fault.
   * @param bytes that it took
   * @returns how the peer broke the protocol with it, or undefined
   */
  deliver(message: IncomingMessage, bytes: number): string | undefined {
    // Only where it was agreed on: there is no session time with anybody else.
    if (message.deadline !== undefined && this.agreement?.extensions?.deadline !== undefined) {
      message.deadlineAt = this.zero + message.deadline;
    }
    const flow = this.#streams?.get(message.streamId);
    if (flow?.receiver === undefined) {
      // Its call has ended here; with a cancel, what it still has to say is not wanted any more.
      if (flow !== undefined && isStreamCancel(message.controlFlags)) this.#streams?.discard(flow);
      this.#handUnclaimed(message);
      return undefined;
    }
    return this.#deliverTo(flow, flow.receiver, message, bytes);
  }

  #deliverTo(flow: StreamFlow, receiver: StreamReceiver, message: IncomingMessage, bytes: number): string | undefined {
    const cost = costOf(message.controlFlags, bytes);
    if (cost === 0) {
      this.#hand(receiver, message);
      return undefined;
    }
    if (!flow.receive(cost)) return `sent on stream ${flow.id} beyond its limit of ${flow.granted}`;
    const heldCost = this.#streams?.heldCost ?? 0;
    if (flow.heldCost > cost && heldCost + cost > this.#mostBytes) {
      // Without credit nothing else bounds it; with it, only where all sessions together hold too much.
      const text = `nobody reads stream ${flow.id}: ${flow.heldCost} bytes unread`;
      callSafely(
        () => receiver.onOverflow?.(`${text}, and no room for more`),
        (error) => this.#receiverFailed(error, flow.id),
      );
      return undefined;
    }
    this.#streams?.hold(cost);
    message.cost = cost;
    this.#hand(receiver, message);
    if (message.isHeld === true) this.#countAs(this.#counted + cost);
    else this.#consume(message.streamId, cost);
    return undefined;
  }

  #hand(receiver: StreamReceiver, message: IncomingMessage): void {
    try {
      const outcome: unknown = receiver.onMessage(message);
      if (outcome !== undefined) this.#watch(outcome, message.streamId);
    } catch (error) {
      this.#receiverFailed(error, message.streamId);
    }
  }

  #handUnclaimed(message: IncomingMessage): void {
    try {
      const outcome: unknown = this.env.opener()?.onUnclaimedMessage(this, message);
      if (outcome !== undefined) this.#watch(outcome, message.streamId);
    } catch (error) {
      this.#receiverFailed(error, message.streamId);
    }
  }

  /** Declared to return nothing; whoever implements it as an async function may still reject. */
  #watch(outcome: unknown, streamId: string): void {
    if (isThenable(outcome)) Promise.resolve(outcome).catch((error: unknown) => this.#receiverFailed(error, streamId));
  }

  consumed(streamId: string, cost: number): void {
    if (this.#consume(streamId, cost)) this.#countAs(this.#counted - cost);
  }

  /** Returns false if the stream is closed: then nothing of it is held any more. */
  #consume(streamId: string, cost: number): boolean {
    const streams = this.#streams;
    const flow = streams?.get(streamId);
    if (flow?.receiver === undefined || streams === undefined) return false;
    const { maxSessionBufferBytes, budget } = this.env.options;
    const room = Math.min(maxSessionBufferBytes - streams.heldCost, budget.freeBytes);
    if (streams.consumed(flow, cost, Math.floor(room / SHARES))) this.sink?.flushSoon();
    return true;
  }

  discard(streamId: string): void {
    const flow = this.#streams?.get(streamId);
    if (flow !== undefined) this.#streams?.discard(flow);
  }

  /** The peer allows more. */
  allow(credits: readonly Credit[]): void {
    const streams = this.#streams;
    if (streams === undefined) return;
    const flows: StreamFlow[] = [];
    for (const { stream, limit } of credits) {
      const flow = streams.numbered(stream);
      if (flow?.allow(limit) === true) flows.push(flow);
    }
    if (flows.length === 0) return;
    const before = this.ledger.nextSeq;
    streams.release(flows, (frame) => {
      this.ledger.append(frame);
      return this.ledger.nextSeq;
    });
    if (this.ledger.nextSeq > before) this.sink?.flushSoon();
    for (const flow of flows) this.#wakeStream(flow);
  }

  #wakeStream(flow: StreamFlow): void {
    const { writers } = flow;
    if (writers === undefined || !flow.hasCredit) return;
    flow.writers = undefined;
    for (const fn of writers) {
      if (this.isWriteReady(flow.id)) callSafely(fn, (error) => this.#receiverFailed(error));
      else this.onceWriteReady(flow.id, fn);
    }
  }

  /** What the peer is to be told with the next frame. */
  takeCredits(): readonly Credit[] {
    return this.#streams?.takeDue() ?? NO_CREDITS;
  }

  get owesCredits(): boolean {
    return this.#streams?.hasDue === true;
  }

  /** A new connection: what was said on earlier ones may be lost. */
  repeatCredits(): void {
    if (this.#initialLimit !== undefined) this.#streams?.repeat();
  }

  #receiverFailed(error: unknown, streamId?: string): void {
    this.env.logger.log('error', 'a receiver of messages failed', { sessionId: this.id, streamId, error });
  }

  openStream(streamId: string, receiver: StreamReceiver): void {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'opening a stream');
    if (this.#streams === undefined) {
      this.#streams = new StreamTable(this.env.options);
      if (this.#initialLimit !== undefined) this.#streams.agree(this.#initialLimit);
    }
    this.#streams.open(streamId, receiver);
  }

  closeStream(streamId: string): void {
    this.#streams?.close(streamId);
    this.count();
  }

  /** Ids of the streams that are open; a snapshot. */
  get openStreams(): readonly string[] {
    return this.#streams?.ids ?? [];
  }

  hasStream(streamId: string): boolean {
    return this.#streams?.has(streamId) ?? false;
  }

  onceConfirmed(streamId: string, fn: () => void): CancelTimer {
    const flow = this.#streams?.get(streamId);
    const tell = (): void => callSafely(fn, (error) => this.#receiverFailed(error));
    if (flow === undefined || flow.waitingCount === 0) return this.ledger.onceConfirmed(this.#expectedNextSeq, tell);
    let isCancelled = false;
    let cancel = (): void => {
      isCancelled = true;
    };
    flow.onceFramed((nextSeq) => {
      if (!isCancelled) cancel = this.ledger.onceConfirmed(nextSeq, tell);
    });
    return () => cancel();
  }

  /** The seq after everything that was sent, once it is framed. */
  get #expectedNextSeq(): number {
    return this.ledger.nextSeq + (this.#outbox?.length ?? 0);
  }

  isWriteReady(streamId: string): boolean {
    return this.#hasRoom && (this.#streams?.get(streamId)?.hasCredit ?? true);
  }

  get #hasRoom(): boolean {
    return this.bufferedBytes <= Math.min(this.env.options.sessionHighWaterBytes, this.#mostBytes);
  }

  overflow(message: string): void {
    if (this.isOpen) this.env.owner.onOverflow(this, message);
  }

  onceWriteReady(streamId: string, fn: () => void): CancelTimer {
    const flow = this.#streams?.get(streamId);
    if (flow === undefined || flow.hasCredit) {
      this.#writeWaiters ??= new Map();
      this.#writeWaiters.set(fn, streamId);
    } else {
      flow.writers ??= new Set();
      flow.writers.add(fn);
    }
    return () => {
      this.#writeWaiters?.delete(fn);
      flow?.writers?.delete(fn);
    };
  }

  /** After something was confirmed. */
  wakeWriters(): void {
    const waiters = this.#writeWaiters;
    if (waiters === undefined || !this.#hasRoom) return;
    this.#writeWaiters = undefined;
    for (const [fn, streamId] of waiters) {
      if (this.isWriteReady(streamId)) callSafely(fn, (error) => this.#receiverFailed(error));
      else this.onceWriteReady(streamId, fn);
    }
  }

  /** Ends the session: every open stream learns of it exactly once, and nothing is delivered or accepted afterwards. */
  end(end: SessionEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    this.#outbox = undefined;
    this.#writeWaiters = undefined;
    this.ledger.dropWaiters();
    const receivers = this.#streams?.drain() ?? [];
    this.#streams = undefined;
    this.count();
    for (const receiver of receivers) this.#tellEnd(receiver, end);
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
