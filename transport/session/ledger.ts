import { LedgerError } from '../errors.ts';
import { readVarint, varintLength } from '../varint.ts';

/** How a received `seq` relates to what is expected. */
export type Arrival = 'next' | 'duplicate' | 'gap';

interface Waiter {
  readonly seq: number;
  fn: () => void;
}

/** Confirmed entries are compacted away once there are this many, so that a shift costs nothing on average. */
const COMPACT_AT = 256;

/**
 * What a session has sent and received: two counters and the frames the peer has not confirmed. Pure: it knows no
 * connection and no time. Confirming is arithmetic on a head index, whatever the number of frames held.
 * @see PROTOCOL.md, "Acknowledgement"
 */
export class Ledger {
  /** Each in memory of its own, or, where {@link #starts} says so, in a carrier that it shares with its neighbours. */
  #frames: (Uint8Array | undefined)[] = [];
  /** Where a frame's length begins in its carrier, -1 if it is in none. None at all until something is packed. */
  #starts: number[] | undefined;
  #head = 0;
  #oldest = 0;
  #ack = 0;
  #bytes = 0;
  #waiters: Waiter[] | undefined;

  /** The `seq` of the next message we send. */
  get nextSeq(): number {
    return this.#oldest + this.#frames.length - this.#head;
  }

  /** The `seq` of the oldest frame the peer has not confirmed, or {@link nextSeq} if there is none. */
  get oldestUnackedSeq(): number {
    return this.#oldest;
  }

  /** The next `seq` we expect. */
  get ack(): number {
    return this.#ack;
  }

  /** Frames not confirmed. */
  get unackedCount(): number {
    return this.#frames.length - this.#head;
  }

  /** Their bytes. */
  get unackedBytes(): number {
    return this.#bytes;
  }

  /** Keeps a frame that was encoded with {@link nextSeq}. */
  append(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#starts?.push(-1);
    this.#bytes += frame.length;
  }

  /**
   * Frames from `firstSeq` on have left together, at the end of `carrier`, each behind its length: from now on that is what is
   * kept, and not an object for each. (With 100,000 unconfirmed ones the collector had as many to visit, and a stream lost
   * a fifth of its speed.)
   * @param frames as {@link frameAt} gave them
   */
  pack(firstSeq: number, frames: readonly Uint8Array[], carrier: Uint8Array): void {
    this.#starts ??= new Array<number>(this.#frames.length).fill(-1);
    let at = carrier.length;
    for (let n = frames.length - 1; n >= 0; n--) {
      const length = frames[n]?.length ?? 0;
      at -= length + varintLength(length);
      const index = this.#head + firstSeq + n - this.#oldest;
      // Some may have been confirmed while they were sent.
      if (index < this.#head) return;
      this.#frames[index] = carrier;
      this.#starts[index] = at;
    }
  }

  /**
   * Drops every frame the peer has confirmed. An `ack` below the highest seen says nothing new: a message that is
   * sent again carries the ack of the time it was built.
   * @param ack the next seq the peer expects; everything below it has arrived
   * @returns true if it says anything new
   * @throws {LedgerError} if `ack` is beyond what was sent
   */
  confirm(ack: number): boolean {
    if (ack > this.nextSeq)
      throw new LedgerError(`the peer expects ${ack} next, but only ${this.nextSeq} messages were sent`);
    if (ack <= this.#oldest) return false;
    const end = this.#head + ack - this.#oldest;
    for (let i = this.#head; i < end; i++) {
      this.#bytes -= this.#lengthAt(i);
      this.#frames[i] = undefined;
    }
    this.#head = end;
    this.#oldest = ack;
    this.#shrinkCarrier();
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#frames.length) {
      this.#frames.splice(0, this.#head);
      this.#starts?.splice(0, this.#head);
      this.#head = 0;
    }
    this.#wake();
    return true;
  }

  /** A frame that the peer has not confirmed, or undefined. */
  frameAt(seq: number): Uint8Array | undefined {
    if (seq < this.#oldest) return undefined;
    const index = this.#head + seq - this.#oldest;
    const frame = this.#frames[index];
    const start = this.#starts?.[index] ?? -1;
    if (frame === undefined || start < 0) return frame;
    const length = readVarint(frame, start);
    const from = start + varintLength(length);
    return frame.subarray(from, from + length);
  }

  /** What is kept must not hold much more memory than it counts for: a peer may confirm all but the last of each carrier. */
  #shrinkCarrier(): void {
    const starts = this.#starts;
    const carrier = this.#frames[this.#head];
    const start = starts?.[this.#head] ?? -1;
    if (starts === undefined || carrier === undefined || start * 2 < carrier.length) return;
    const rest = carrier.slice(start);
    for (let i = this.#head; this.#frames[i] === carrier; i++) {
      this.#frames[i] = rest;
      starts[i] = (starts[i] ?? 0) - start;
    }
  }

  #lengthAt(index: number): number {
    const frame = this.#frames[index];
    if (frame === undefined) return 0;
    const start = this.#starts?.[index] ?? -1;
    return start < 0 ? frame.length : readVarint(frame, start);
  }

  /** Judges a received `seq` without changing anything. */
  judge(seq: number): Arrival {
    if (seq === this.#ack) return 'next';
    return seq < this.#ack ? 'duplicate' : 'gap';
  }

  /** The expected message has arrived. */
  advance(): void {
    this.#ack += 1;
  }

  /** Calls `fn` once everything below `seq` is confirmed; at once if it is. Returns how to withdraw it. */
  onceConfirmed(seq: number, fn: () => void): () => void {
    if (seq <= this.#oldest) {
      fn();
      return () => undefined;
    }
    const waiter = { seq, fn };
    this.#waiters ??= [];
    this.#waiters.push(waiter);
    return () => {
      this.#waiters = this.#waiters?.filter((other) => other !== waiter);
    };
  }

  /** Nothing is sent again and nobody waits: whoever holds on to the session must not hold on to what it kept. */
  end(): void {
    this.#oldest = this.nextSeq;
    this.#frames = [];
    this.#starts = undefined;
    this.#head = 0;
    this.#bytes = 0;
    this.#waiters = undefined;
  }

  #wake(): void {
    // Waiters are in rising order: each waits for what had been sent when it came.
    for (;;) {
      const first = this.#waiters?.[0];
      if (first === undefined || first.seq > this.#oldest) return;
      this.#waiters?.shift();
      first.fn();
    }
  }
}
