import type { StreamReceiver } from '../stream.ts';

/** What a message costs besides its bytes: what holds it in memory costs more than a small message itself. */
export const MESSAGE_COST = 64;

/** The share of its lead that a half consumes before it is told of more. */
const GRANT_SHARE = 0.5;

/** What has gone is dropped once there is so much of it, so that a shift costs nothing on average. */
const COMPACT_AT = 256;

/** A message that waits for credit. */
interface Waiting {
  readonly bytes: Uint8Array;
  /** 0: it ends the half, and goes once what is before it has gone. */
  readonly cost: number;
  /** Called with the seq after it, once it has one. */
  onFramed: ((nextSeq: number) => void)[] | undefined;
}

/** Somebody who waits until it may write. */
export interface WriteWaiter {
  readonly streamId: string;
  /** Undefined once it was called or withdrawn. */
  fn: (() => void) | undefined;
}

/**
 * One stream of a session, both its halves: who hears of it, and, where `credit` is agreed on, what each side may still
 * send. Limits are absolute, in cost since the stream began. Pure: it knows no session.
 * @see PROTOCOL.md, "credit"
 */
export class StreamFlow {
  readonly id: string;
  /** As it travels; -1 for a stream that has a name, which has no credit. */
  readonly number: number;
  /** Undefined once the call has ended here; what it said before may still wait for credit. */
  receiver: StreamReceiver | undefined;
  /** Writers that wait for credit. */
  writers: Set<WriteWaiter> | undefined;
  /** Bytes of what cost nothing, and is kept until the call ends: its init, its last value. */
  pinnedBytes = 0;
  /** The peer has said its last. */
  isPeerClosed = false;
  #sent = 0;
  // Undefined, not infinite, where there is none: V8 keeps numbers that may be infinite in objects of their own.
  #limit: number | undefined;
  #waiting: (Waiting | undefined)[] | undefined;
  /** Of {@link #waiting}, what has gone. */
  #gone = 0;
  #waitingBytes = 0;
  #window: number | undefined;
  #received = 0;
  #consumed = 0;
  /** Beyond their cost, what the messages count for that were received and not consumed. */
  #swollen = 0;
  #granted: number | undefined;

  constructor(id: string, number: number, receiver: StreamReceiver) {
    this.id = id;
    this.number = number;
    this.receiver = receiver;
  }

  /**
   * It is subject to credit.
   * @param limit what may be sent from the start
   * @param window what the peer may send from the start, and how far it may be ahead of what was consumed
   */
  begin(limit: number | undefined, window: number | undefined): void {
    this.#limit = limit;
    this.#window = window;
    this.#granted = window;
  }

  /** Bytes of messages that wait for credit. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Messages that wait for credit. */
  get waitingCount(): number {
    return (this.#waiting?.length ?? 0) - this.#gone;
  }

  /** True while a message could go at once. */
  get hasCredit(): boolean {
    return this.#waiting === undefined && !this.#isAtLimit;
  }

  get #isAtLimit(): boolean {
    return this.#limit !== undefined && this.#sent >= this.#limit;
  }

  /** True if its last word waits for credit: it goes on without its call. */
  get isDraining(): boolean {
    return this.#waiting?.at(-1)?.cost === 0;
  }

  /** What the messages count for that were received and not consumed. */
  get heldBytes(): number {
    return this.heldCost + this.#swollen;
  }

  /** What they cost. */
  get heldCost(): number {
    return this.#received - this.#consumed;
  }

  /** What the peer may send in all; to be said again on every connection where it is not the window. */
  get granted(): number {
    return this.#granted ?? Number.POSITIVE_INFINITY;
  }

  /** True where the peer cannot know its limit from the start alone. */
  get wasGranted(): boolean {
    return this.#granted !== this.#window;
  }

  /** Takes the cost of a message that goes now. Returns false if it has to wait: {@link wait}. */
  take(cost: number): boolean {
    if (this.#waiting !== undefined || (cost > 0 && this.#isAtLimit)) return false;
    this.#sent += cost;
    return true;
  }

  /** Keeps a message until there is credit for it. */
  wait(bytes: Uint8Array, cost: number): void {
    this.#waiting ??= [];
    this.#waiting.push({ bytes, cost, onFramed: undefined });
    this.#waitingBytes += bytes.length;
  }

  /** Calls `fn` with the seq after what waits last, once that has one. Only while something waits. */
  onceFramed(fn: (nextSeq: number) => void): void {
    const last = this.#waiting?.at(-1);
    if (last === undefined) return;
    last.onFramed ??= [];
    last.onFramed.push(fn);
  }

  /** The peer may send up to `limit`: a lower one than before says nothing new. Returns true if it does. */
  allow(limit: number): boolean {
    if (this.#limit === undefined || limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }

  /** Takes out the next message that has credit, if any. */
  next(): Waiting | undefined {
    const waiting = this.#waiting;
    const first = waiting?.[this.#gone];
    if (waiting === undefined || first === undefined || (first.cost > 0 && this.#isAtLimit)) return undefined;
    waiting[this.#gone] = undefined;
    this.#gone += 1;
    this.#sent += first.cost;
    this.#waitingBytes -= first.bytes.length;
    if (this.#gone === waiting.length) this.discard();
    else if (this.#gone >= COMPACT_AT && this.#gone * 2 >= waiting.length) {
      waiting.splice(0, this.#gone);
      this.#gone = 0;
    }
    return first;
  }

  /** Forgets what waits: nobody wants it any more. */
  discard(): void {
    this.#waiting = undefined;
    this.#gone = 0;
    this.#waitingBytes = 0;
  }

  /** False if the peer has no credit for another message; one may exceed the limit. */
  get mayReceive(): boolean {
    return this.#granted === undefined || this.#received < this.#granted;
  }

  /**
   * A message came that somebody will read.
   * @param bytes what it counts for, at least its cost
   */
  receive(cost: number, bytes: number): void {
    this.#received += cost;
    this.#swollen += bytes - cost;
  }

  /**
   * So much of what came was read.
   * @param share how far ahead the peer may be from now on, at most the window; what was granted stays granted
   * @returns true if the peer is to be told of a new limit
   */
  consume(cost: number, share: number): boolean {
    // Which message it was is not known here: with a part of the cost goes the same part of what they count for beyond it.
    if (this.#swollen > 0) this.#swollen = Math.floor(this.#swollen * Math.max(0, 1 - cost / this.heldCost));
    this.#consumed = Math.min(this.#received, this.#consumed + cost);
    if (this.#window === undefined || this.#granted === undefined) return false;
    // One message at least, once everything is read: otherwise nothing would ever move again.
    const lead = Math.max(1, Math.min(this.#window, share));
    const limit = this.#consumed + lead;
    if (limit <= this.#granted) return false;
    const isWaitedFor = this.#received >= this.#granted;
    if (!isWaitedFor && limit - this.#granted < lead * GRANT_SHARE) return false;
    this.#granted = limit;
    return true;
  }
}
