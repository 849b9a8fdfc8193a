import type { CancelTimer } from '../clock.ts';
import { SessionBufferFullError } from '../errors.ts';
import { ControlFlags, isCloseControl, type OutgoingMessage, REHANDSHAKE_STREAM_ID } from '../message.ts';
import { callSafely } from '../thenable.ts';
import type { FrameSink, SessionEnvironment } from './environment.ts';
import { Ledger } from './ledger.ts';
import type { Outbox } from './outbox.ts';
import type { StreamFlow, WriteWaiter } from './streamFlow.ts';
import { costOf, type StreamTable } from './streamTable.ts';

/** Closing and cancelling must get through a full buffer: this much is kept for them. */
const CONTROL_RESERVE_BYTES = 256 * 1024;

/** So much of it however little all sessions have left, until the peer has confirmed as much. */
const OVERDRAFT_BYTES = 2 * 1024;

/** What a message costs besides its bytes: the objects around them. Without it many small ones would hold several times the limit. */
const MESSAGE_OVERHEAD_BYTES = 192;

/** What a session holds for its peer and of it, how much that may be, and who waits for room. */
export abstract class SessionRoom {
  abstract readonly id: string;
  abstract readonly env: SessionEnvironment;
  readonly ledger = new Ledger();
  /** The state that carries frames now; set and cleared by SessionConnected. */
  sink: FrameSink | undefined;
  /** Only until the first answer. */
  protected outbox: Outbox | undefined;
  /** Made for the first stream: most sessions of a large server are idle. */
  protected streams: StreamTable | undefined;
  /** What of the budget this session was last counted for. */
  protected counted = 0;
  /** What calls hold that have ended, and whose handlers run on: unread messages, */
  protected remainingUnread = 0;
  /** and with them inits and last values. */
  protected remaining = 0;
  /** Of ends of calls, what was said though all sessions together had no room for it. */
  #overdrawn = 0;
  /** Whoever waits for room in the session. */
  protected writeWaiters: Set<WriteWaiter> | undefined;

  abstract get isOpen(): boolean;

  get nextSeq(): number {
    return this.ledger.nextSeq;
  }

  /** What is kept for the peer: not confirmed, waiting for credit, or for the first answer. */
  get bufferedBytes(): number {
    return this.#underWayBytes + this.#waitingBytes;
  }

  /** The same without what waits for credit: that is for its own stream's writer to wait for, and for nobody else. */
  get #underWayBytes(): number {
    const { ledger } = this;
    // A peer may acknowledge what it has not read: what its connection still holds counts as well.
    const unconfirmed = Math.max(ledger.unackedBytes, this.sink?.bufferedBytes ?? 0);
    return unconfirmed + ledger.unackedCount * MESSAGE_OVERHEAD_BYTES + (this.outbox?.bytes ?? 0);
  }

  /** What waits for credit. */
  get #waitingBytes(): number {
    const { streams } = this;
    return streams === undefined ? 0 : streams.waitingBytes + streams.waitingCount * MESSAGE_OVERHEAD_BYTES;
  }

  /** Tells the budget what this session holds by now. */
  count(): void {
    this.countAs((this.isOpen ? this.bufferedBytes + (this.streams?.keptBytes ?? 0) : 0) + this.remaining);
  }

  protected countAs(held: number): void {
    if (held === this.counted) return;
    this.env.options.budget.changed(this.counted, held);
    this.counted = held;
  }

  /** The same for one message more of so many bytes than were `buffered` before. */
  protected countOneMore(buffered: number, bytes: number): void {
    this.countAs(buffered + bytes + MESSAGE_OVERHEAD_BYTES + (this.streams?.keptBytes ?? 0) + this.remaining);
  }

  /**
   * How much more this session may hold for its peer, or of it.
   * @param held what it holds of that; what it holds in all is what the budget looks at
   */
  protected moreBeside(held: number): number {
    const { maxSessionBufferBytes, budget } = this.env.options;
    return Math.min(maxSessionBufferBytes - held, budget.moreFor(this.counted));
  }

  /** That calls end must be said, however much was said before. */
  #moreForEnds(held: number): number {
    const { maxSessionBufferBytes, budget } = this.env.options;
    return Math.min(maxSessionBufferBytes + CONTROL_RESERVE_BYTES - held, budget.moreForEnds(this.counted));
  }

  /** A session must not end because somebody else holds too much. */
  #overdraw(wanted: number, bytes: number): boolean {
    const overdrawn = this.#overdrawn + bytes + MESSAGE_OVERHEAD_BYTES;
    const most = this.env.options.maxSessionBufferBytes + CONTROL_RESERVE_BYTES;
    if (wanted > most || overdrawn > OVERDRAFT_BYTES) return false;
    this.#overdrawn = overdrawn;
    return true;
  }

  /**
   * Everything below `ack` has arrived at the peer.
   * @throws {LedgerError} if it was never sent
   */
  confirm(ack: number): void {
    const { ledger } = this;
    const before = this.#unconfirmedBytes;
    if (!ledger.confirm(ack)) return;
    this.#overdrawn = Math.max(0, this.#overdrawn - (before - this.#unconfirmedBytes));
    this.count();
  }

  get #unconfirmedBytes(): number {
    return this.ledger.unackedBytes + this.ledger.unackedCount * MESSAGE_OVERHEAD_BYTES;
  }

  /** @throws {SessionBufferFullError} */
  protected assertRoom(
    message: OutgoingMessage,
    bytes: number,
    buffered = this.bufferedBytes,
    flow?: StreamFlow,
  ): void {
    const isControl =
      message.streamId === REHANDSHAKE_STREAM_ID ||
      (message.controlFlags & (ControlFlags.AckOnly | ControlFlags.StreamCancel)) !== 0 ||
      isCloseControl(message.controlFlags, message.payload);
    const more = isControl ? this.#moreForEnds(buffered) : this.moreBeside(buffered);
    if (bytes > more) {
      const wanted = buffered + bytes;
      if (isControl && this.#overdraw(wanted, bytes)) return;
      const limit = buffered + more;
      const { maxSessionBufferBytes } = this.env.options;
      const what = limit < maxSessionBufferBytes ? 'what the budget of all sessions leaves' : 'maxSessionBufferBytes';
      throw new SessionBufferFullError(`${wanted} unconfirmed bytes would exceed ${what} (${limit})`);
    }
    if (!isControl && flow !== undefined) this.#assertMayWait(message, bytes, flow, more);
  }

  /** @throws {SessionBufferFullError} */
  #assertMayWait({ controlFlags }: OutgoingMessage, bytes: number, flow: StreamFlow, left: number): void {
    if (flow.hasCredit || (flow.waitingCount === 0 && costOf(controlFlags, bytes) === 0)) return;
    const { maxStreamBufferBytes, maxSessionBufferBytes, sessionHighWaterBytes, maxMessageBytes } = this.env.options;
    // Who heeds backpressure, and who only answers, must find room beside those who do not.
    const forOthers = Math.min(sessionHighWaterBytes + maxMessageBytes, maxSessionBufferBytes / 2);
    const allStreams = this.#waitingBytes + bytes;
    if (allStreams > maxSessionBufferBytes - forOthers) {
      const what = `the peer does not read ${allStreams} bytes that wait on its streams`;
      throw new SessionBufferFullError(`${what}: of maxSessionBufferBytes that is all but ${forOthers}`);
    }
    if (flow.waitingCount === 0) return;
    // No stream takes more than what it leaves to the others.
    const streamLimit = Math.min(maxStreamBufferBytes, left);
    const waiting = flow.waitingBytes + flow.waitingCount * MESSAGE_OVERHEAD_BYTES + bytes;
    if (waiting > streamLimit) {
      const what = `the peer does not read stream ${flow.id}: ${waiting} bytes waiting`;
      throw new SessionBufferFullError(`${what} would exceed maxStreamBufferBytes (${streamLimit})`);
    }
  }

  isWriteReady(streamId: string): boolean {
    return this.#hasRoom && (this.streams?.get(streamId)?.hasCredit ?? true);
  }

  get #hasRoom(): boolean {
    const { sessionHighWaterBytes, budget } = this.env.options;
    const underWay = this.#underWayBytes;
    if (underWay > sessionHighWaterBytes) return false;
    // Where little is left, no more than as much again: who waits goes on when what is under way was confirmed.
    return underWay <= budget.freeBytes || underWay <= budget.moreFor(this.counted);
  }

  onceWriteReady(streamId: string, fn: () => void): CancelTimer {
    const waiter: WriteWaiter = { streamId, fn };
    this.#wait(waiter);
    return () => {
      waiter.fn = undefined;
      this.writeWaiters?.delete(waiter);
      this.streams?.get(streamId)?.writers?.delete(waiter);
    };
  }

  #wait(waiter: WriteWaiter): void {
    const flow = this.streams?.get(waiter.streamId);
    if (flow === undefined || flow.hasCredit) {
      this.writeWaiters ??= new Set();
      this.writeWaiters.add(waiter);
    } else {
      flow.writers ??= new Set();
      flow.writers.add(waiter);
    }
  }

  /** After something was confirmed. */
  wakeWriters(): void {
    const waiters = this.writeWaiters;
    if (waiters === undefined || !this.#hasRoom) return;
    this.writeWaiters = undefined;
    this.#wake(waiters);
  }

  /** After the peer allowed more on it. */
  protected wakeStream(flow: StreamFlow): void {
    const { writers } = flow;
    if (writers === undefined || !flow.hasCredit) return;
    flow.writers = undefined;
    this.#wake(writers);
  }

  // Whoever is woken may withdraw others, use the room up, or end the session.
  #wake(waiters: Iterable<WriteWaiter>): void {
    for (const waiter of waiters) {
      const { fn, streamId } = waiter;
      if (fn === undefined || !this.isOpen) continue;
      if (!this.isWriteReady(streamId)) {
        this.#wait(waiter);
        continue;
      }
      waiter.fn = undefined;
      callSafely(fn, (error) => this.receiverFailed(error));
    }
  }

  /** Of ours or an application's: logged, and nobody else's concern. */
  protected receiverFailed(error: unknown, streamId?: string): void {
    this.env.logger.log('error', 'a receiver of messages failed', { sessionId: this.id, streamId, error });
  }
}
