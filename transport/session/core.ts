import type { CancelTimer, Clock } from '../clock.ts';
import { streamNumber } from '../compact.ts';
import { type Credit, NO_CREDITS } from '../compactLayout.ts';
import { IdempotencyUnsupportedError, SessionClosedError } from '../errors.ts';
import { isAckOnly, isStreamCancel, type OutgoingMessage } from '../message.ts';
import type { Remains, SessionEnd, SessionPort, StreamReceiver } from '../stream.ts';
import type { TracedSpan } from '../telemetry.ts';
import { callSafely } from '../thenable.ts';
import type { Agreement, SessionEnvironment } from './environment.ts';
import { Outbox } from './outbox.ts';
import { encodeOutgoing } from './outgoing.ts';
import { SessionReception } from './reception.ts';
import type { StreamFlow } from './streamFlow.ts';
import { costOf, StreamTable } from './streamTable.ts';

/**
 * Everything of a session that outlives a transition: one object, moved by reference from state to state. A new
 * surviving field is one edit here. The router sees it as a {@link SessionPort}.
 */
export class SessionCore extends SessionReception implements SessionPort {
  // First, and so next to those of the base class, what every message needs: V8 lays fields out in this order, and a session's
  // memory is rarely in the processor's caches when its turn comes.
  readonly env: SessionEnvironment;
  /** Frames carry many messages; otherwise each is one, with an envelope. */
  isCompact = false;
  /** Received since we last sent an `ack`: the other side keeps these until it hears of them. */
  unackedMessages = 0;
  unackedBytes = 0;
  /** Everything below this seq was handed to a connection at least once, whether or not that took it. */
  transmittedSeq = 0;
  /** Set once, by {@link end}. */
  #ended: SessionEnd | undefined;
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly span: TracedSpan;
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
  /** True once a connection has carried this session. */
  wasConnected = false;
  /** Server: what the client lets us send on each stream from its start, where `credit` is agreed on. */
  #initialLimit: number | undefined;
  #streamIds = 0;
  /** On River's wire, before the number of a stream that was opened here. */
  #streamPrefix: string | undefined;

  constructor(id: string, from: string, to: string, env: SessionEnvironment, span: TracedSpan) {
    super();
    this.id = id;
    this.from = from;
    this.to = to;
    this.env = env;
    this.span = span;
    this.graceDeadline = env.clock.now() + env.options.sessionDisconnectGraceMs;
  }

  protected override get port(): SessionPort {
    return this;
  }

  get clock(): Clock {
    return this.env.clock;
  }

  get maxMessageBytes(): number {
    return this.env.options.maxMessageBytes;
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
    return this.streams?.size ?? 0;
  }

  send(message: OutgoingMessage): void {
    const bytes = this.#accept(message);
    this.sink?.flushSoon(bytes);
  }

  newStreamId(): string {
    this.#streamIds += 1;
    return String(this.#streamIds);
  }

  /** A stream's id as it travels in an envelope: River's servers keep the streams of all sessions in one table. */
  envelopeId(streamId: string): string {
    const number = streamNumber(streamId);
    if (number <= 0 || number > this.#streamIds) return streamId;
    this.#streamPrefix ??= this.env.clock.id();
    return this.#streamPrefix + streamId;
  }

  /** The other way round. */
  streamIdOf(envelopeId: string): string {
    const prefix = this.#streamPrefix;
    return prefix !== undefined && envelopeId.startsWith(prefix) ? envelopeId.slice(prefix.length) : envelopeId;
  }

  /** The peer is gone from now on. */
  startGrace(): void {
    this.graceDeadline = this.env.clock.now() + this.env.options.sessionDisconnectGraceMs;
  }

  /** Into the ledger, or, while the session waits for its first answer, into the outbox. Returns its bytes. */
  #accept(message: OutgoingMessage): number {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'sending');
    const { agreement } = this;
    if (agreement === undefined) {
      const { codec, maxMessageBytes } = this.env.options;
      this.outbox ??= new Outbox(codec, maxMessageBytes, this.from, this.to);
      this.outbox.push(message, (bytes) => this.assertRoom(message, bytes));
      this.count();
      return 0;
    }
    // Every frame acknowledges; River needs a message for it.
    if (this.isCompact && isAckOnly(message.controlFlags)) return 0;
    let flow = this.streams?.get(message.streamId);
    const frame = encodeOutgoing(this, message, agreement, flow?.number);
    // A getter of the payload may have ended the session, or the call.
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'sending');
    if (flow?.receiver === undefined) flow = this.streams?.get(message.streamId);
    // Whatever it wanted to say before is not wanted any more.
    if (flow !== undefined && isStreamCancel(message.controlFlags)) this.streams?.discard(flow);
    const buffered = this.bufferedBytes;
    this.assertRoom(message, frame.length, buffered, flow);
    this.#append(message.controlFlags, frame, flow);
    // On River's wire it carries the ack of this moment.
    if (!this.isCompact) this.acknowledged();
    this.countOneMore(buffered, frame.length);
    return frame.length;
  }

  /** Into the ledger, or, without credit, behind what waits for some. */
  #append(controlFlags: number, frame: Uint8Array, flow: StreamFlow | undefined): void {
    const cost = costOf(controlFlags, frame.length);
    if (flow === undefined || flow.take(cost)) this.ledger.append(frame);
    else this.streams?.wait(flow, frame, cost);
  }

  /** The peer is told what has arrived. */
  acknowledged(): void {
    this.unackedMessages = 0;
    this.unackedBytes = 0;
  }

  /** Takes back what waits for the first answer. */
  unsend(streamId: string): boolean {
    return this.outbox?.remove(streamId) ?? false;
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
    if (initialLimit !== undefined) this.streams?.agree(initialLimit);
    const outbox = this.outbox;
    this.outbox = undefined;
    for (const { message, onFramed } of outbox?.drain() ?? []) {
      if (this.isCompact && isAckOnly(message.controlFlags)) continue;
      try {
        const frame = encodeOutgoing(this, message, agreement, undefined);
        this.#append(message.controlFlags, frame, this.streams?.get(message.streamId));
        for (const fn of onFramed) fn();
      } catch (error) {
        // It was encoded once already; a codec that now refuses it must not take the whole session down. And only now is
        // it known whether the peer has a place to keep outcomes.
        this.#failStream(message.streamId, error);
      }
    }
    this.count();
  }

  #failStream(streamId: string, error: unknown): void {
    const isUnsupported = error instanceof IdempotencyUnsupportedError;
    const end: SessionEnd = isUnsupported
      ? { code: 'idempotency_unsupported', message: error.message }
      : { code: 'closed_locally', message: 'a message could not be encoded' };
    // Which servers keep outcomes is no fault of this process.
    if (isUnsupported) this.env.logger.log('warn', end.message, { sessionId: this.id, streamId });
    else this.env.logger.log('error', end.message, { sessionId: this.id, streamId, error });
    const receiver = this.streams?.get(streamId)?.receiver;
    this.closeStream(streamId);
    if (receiver !== undefined) this.#tellEnd(receiver, end);
  }

  discard(streamId: string): void {
    const flow = this.streams?.get(streamId);
    if (flow === undefined) return;
    this.streams?.discard(flow);
    this.count();
  }

  /** The peer allows more. */
  allow(credits: readonly Credit[]): void {
    const streams = this.streams;
    if (streams === undefined) return;
    // Each once: a peer may name a stream again and again.
    const flows = new Set<StreamFlow>();
    for (const { stream, limit } of credits) {
      const flow = streams.numbered(stream);
      if (flow?.allow(limit) === true) flows.add(flow);
    }
    if (flows.size === 0) return;
    const before = this.ledger.nextSeq;
    streams.release(flows, (frame) => {
      this.ledger.append(frame);
      return this.ledger.nextSeq;
    });
    if (this.ledger.nextSeq > before) this.sink?.flushSoon();
    for (const flow of flows) this.wakeStream(flow);
  }

  /** What the peer is to be told with the next frame. */
  takeCredits(): readonly Credit[] {
    return this.streams?.takeDue() ?? NO_CREDITS;
  }

  get owesCredits(): boolean {
    return this.streams?.hasDue === true;
  }

  /** A new connection: what was said on earlier ones may be lost. */
  repeatCredits(): void {
    if (this.#initialLimit !== undefined) this.streams?.repeat();
  }

  openStream(streamId: string, receiver: StreamReceiver): void {
    if (this.#ended !== undefined) throw new SessionClosedError(this.id, 'opening a stream');
    if (this.streams === undefined) {
      this.streams = new StreamTable(this.env.options);
      if (this.#initialLimit !== undefined) this.streams.agree(this.#initialLimit);
    }
    this.streams.open(streamId, receiver);
  }

  closeStream(streamId: string): void {
    this.streams?.close(streamId);
    this.count();
  }

  leaveStream(streamId: string): Remains | undefined {
    const remains = this.leave(this.streams?.get(streamId));
    this.closeStream(streamId);
    return remains;
  }

  /** Ids of the streams that are open; a snapshot. */
  get openStreams(): readonly string[] {
    return this.streams?.ids ?? [];
  }

  hasStream(streamId: string): boolean {
    return this.streams?.has(streamId) ?? false;
  }

  onceConfirmed(streamId: string, fn: () => void): CancelTimer {
    const flow = this.streams?.get(streamId);
    const tell = (): void => callSafely(fn, (error) => this.receiverFailed(error));
    let isCancelled = false;
    let cancel = (): void => {
      isCancelled = true;
    };
    const isInOutbox = this.outbox?.onceFramed(streamId, () => {
      if (!isCancelled) cancel = this.onceConfirmed(streamId, fn);
    });
    if (isInOutbox === true) return () => cancel();
    if (flow === undefined || flow.waitingCount === 0) return this.ledger.onceConfirmed(this.ledger.nextSeq, tell);
    flow.onceFramed((nextSeq) => {
      if (!isCancelled) cancel = this.ledger.onceConfirmed(nextSeq, tell);
    });
    return () => cancel();
  }

  overflow(message: string): void {
    if (this.isOpen) this.env.owner.onOverflow(this, message);
  }

  /** Ends the session: every open stream learns of it exactly once, and nothing is delivered or accepted afterwards. */
  end(end: SessionEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    this.outbox = undefined;
    this.writeWaiters = undefined;
    this.ledger.end();
    this.count();
    const receivers = this.streams?.receivers ?? [];
    for (const receiver of receivers) this.#tellEnd(receiver, end);
    this.streams = undefined;
    callSafely(
      () => this.env.opener()?.onSessionEnded(this),
      (error) => this.receiverFailed(error),
    );
    this.span.end();
  }

  #tellEnd(receiver: StreamReceiver, end: SessionEnd): void {
    callSafely(
      () => receiver.onSessionEnd(end),
      (error) => this.receiverFailed(error),
    );
  }
}
