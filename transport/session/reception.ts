import type { IdempotencyTerms } from '../extensions.ts';
import { type IncomingMessage, isStreamCancel, isStreamClose, isStreamOpen } from '../message.ts';
import type { Remains, SessionPort, StreamReceiver } from '../stream.ts';
import { callSafely, isThenable } from '../thenable.ts';
import { decodedSize } from './decodedSize.ts';
import type { Agreement } from './environment.ts';
import { HeldRemains } from './remains.ts';
import { SessionRoom } from './room.ts';
import type { StreamFlow } from './streamFlow.ts';
import { costOf, type StreamTable } from './streamTable.ts';

/** What costs nothing counts from here on: less is little beside what a stream is. */
const PINNED_FROM = 1024;
/** Fewer bytes never count for so much. */
const SWELLING_FROM = 64;

/** A stream may hold one of so many shares of what is free: what the peer may send shrinks as room does. */
const SHARES = 16;

/** What a session does with messages that have arrived: whose they are, what they cost, and when they were read. */
export abstract class SessionReception extends SessionRoom {
  /** Until the first answer: it decides the codec and the extensions, so nothing is framed before it. */
  agreement: Agreement | undefined;
  /** Where session time begins, on our clock; meaningful from the first answer on. */
  zero = 0;
  /** The message that its receiver is just being handed. */
  #handing: IncomingMessage | undefined;

  get idempotency(): Readonly<IdempotencyTerms> | undefined {
    return this.agreement?.extensions?.idempotency;
  }

  /** As the server's opener knows this session. */
  protected abstract get port(): SessionPort;

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
    const { idempotency } = message;
    if (idempotency !== undefined && this.idempotency !== undefined) {
      const { key, instance, until } = idempotency;
      message.callKey =
        instance === undefined || until === undefined
          ? { key }
          : { key, first: { instance, knownUntil: this.zero + until } };
    }
    const { streams } = this;
    const flow = streams?.get(message.streamId);
    // Nobody there reads any more, and so nobody would ever allow what waits for credit.
    if (flow !== undefined && isStreamCancel(message.controlFlags)) {
      streams?.discard(flow);
      this.count();
    }
    if (streams === undefined || flow?.receiver === undefined) {
      this.#handUnclaimed(message, bytes);
      return undefined;
    }
    return this.#deliverTo(streams, flow, flow.receiver, message, bytes);
  }

  #deliverTo(
    streams: StreamTable,
    flow: StreamFlow,
    receiver: StreamReceiver,
    message: IncomingMessage,
    bytes: number,
  ): string | undefined {
    const cost = costOf(message.controlFlags, bytes);
    if (cost === 0) {
      // What comes after the last value of a half is dropped.
      const isKept = !isStreamCancel(message.controlFlags) && !flow.isPeerClosed;
      if (isStreamClose(message.controlFlags)) flow.isPeerClosed = true;
      const pinned = isKept ? pinnedBytes(message, bytes) : 0;
      if (pinned > 0) {
        // What answers a call of ours is not kept here for long.
        if (this.env.opener() !== undefined && this.#isTooMuch(pinned)) return this.#overflow(flow, receiver);
        this.#pin(streams, flow, pinned);
      }
      this.#hand(receiver, message);
      return undefined;
    }
    if (!flow.mayReceive) return `sent on stream ${flow.id} beyond its limit of ${flow.granted}`;
    const held = Math.max(cost, decodedSize(message.payload));
    // Without credit nothing else bounds it; with it, only where all sessions together hold too much. Where the session holds
    // nothing its own limit is none: otherwise what is as large as that, and has a cost besides, could never come.
    const unread = streams.heldBytes + this.remainingUnread;
    const isTooMuch = unread === 0 ? this.#isTooMuch(held) : held > this.moreBeside(unread);
    if (isTooMuch) return this.#overflow(flow, receiver);
    streams.receive(flow, cost, held);
    message.cost = cost;
    this.#handing = message;
    this.#hand(receiver, message);
    this.#handing = undefined;
    // Its call has ended meanwhile, and what it counts for was settled then.
    if (!this.isOpen || flow.receiver === undefined) return undefined;
    if (message.isHeld === true) this.countAs(this.counted + held);
    else this.#consume(message.streamId, cost);
    return undefined;
  }

  /** A message is not kept, and its call fails. */
  #overflow(flow: StreamFlow, receiver: StreamReceiver): undefined {
    const text = `nobody reads stream ${flow.id}: ${flow.heldBytes} bytes unread, and no room for more`;
    callSafely(
      () => receiver.onOverflow?.(text),
      (error) => this.receiverFailed(error, flow.id),
    );
  }

  #hand(receiver: StreamReceiver, message: IncomingMessage): void {
    try {
      const outcome: unknown = receiver.onMessage(message);
      if (outcome !== undefined) this.#watch(outcome, message.streamId);
    } catch (error) {
      this.receiverFailed(error, message.streamId);
    }
  }

  /** More than all sessions together leave to this one. */
  #isTooMuch(bytes: number): boolean {
    return bytes > this.env.options.budget.moreFor(this.counted);
  }

  #pin(streams: StreamTable, flow: StreamFlow, bytes: number): void {
    streams.pin(flow, bytes);
    this.countAs(this.counted + bytes);
  }

  #handUnclaimed(message: IncomingMessage, bytes: number): void {
    const pinned = isStreamOpen(message.controlFlags) ? pinnedBytes(message, bytes) : 0;
    if (pinned > 0 && this.#isTooMuch(pinned)) message.hasNoRoom = true;
    this.#handToOpener(message);
    const { streams } = this;
    const flow = streams?.get(message.streamId);
    if (pinned > 0 && streams !== undefined && flow?.receiver !== undefined) this.#pin(streams, flow, pinned);
  }

  #handToOpener(message: IncomingMessage): void {
    try {
      const outcome: unknown = this.env.opener()?.onUnclaimedMessage(this.port, message);
      if (outcome !== undefined) this.#watch(outcome, message.streamId);
    } catch (error) {
      this.receiverFailed(error, message.streamId);
    }
  }

  /** Declared to return nothing; whoever implements it as an async function may still reject. */
  #watch(outcome: unknown, streamId: string): void {
    if (isThenable(outcome)) Promise.resolve(outcome).catch((error: unknown) => this.receiverFailed(error, streamId));
  }

  consumed(streamId: string, cost: number): void {
    const freed = this.#consume(streamId, cost);
    // A session that has ended counts for what remains only, though a receiver that was not told yet may still read.
    if (this.isOpen) this.countAs(this.counted - freed);
  }

  /** The stream's call has ended, and whoever runs on has not read what came on it. */
  protected leave(flow: StreamFlow | undefined): Remains | undefined {
    if (flow === undefined) return undefined;
    const handing = this.#handing;
    // Refused by its receiver: it is not held, and nobody will say that it was read.
    if (handing?.streamId === flow.id && handing.isHeld !== true) this.streams?.consumed(flow, handing.cost ?? 0, 0);
    if (flow.heldBytes + flow.pinnedBytes === 0) return undefined;
    return new HeldRemains(flow, (unreadBytes, pinnedBytes) => {
      this.remainingUnread += unreadBytes;
      this.remaining += unreadBytes + pinnedBytes;
      this.count();
    });
  }

  /** Returns what is held no more: nothing if the stream is closed. */
  #consume(streamId: string, cost: number): number {
    const streams = this.streams;
    const flow = streams?.get(streamId);
    if (flow?.receiver === undefined || streams === undefined) return 0;
    const { maxSessionBufferBytes, budget } = this.env.options;
    const room = Math.min(maxSessionBufferBytes - streams.heldBytes - this.remainingUnread, budget.freeBytes);
    const freed = streams.consumed(flow, cost, Math.floor(room / SHARES));
    if (streams.hasDue) this.sink?.flushSoon();
    return freed;
  }
}

/** What a message counts for that costs nothing; 0 if that is little. */
function pinnedBytes({ payload }: IncomingMessage, bytes: number): number {
  const counted = bytes < SWELLING_FROM ? bytes : Math.max(bytes, decodedSize(payload));
  return counted < PINNED_FROM ? 0 : counted;
}
