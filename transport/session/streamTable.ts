import { streamNumber } from '../compact.ts';
import { type Credit, NO_CREDITS } from '../compactLayout.ts';
import { HoldfastError, TooManyStreamsError } from '../errors.ts';
import { ControlFlags } from '../message.ts';
import { NumberMap } from '../numberMap.ts';
import type { SettledTransportOptions } from '../options.ts';
import type { StreamReceiver } from '../stream.ts';
import { MESSAGE_COST, StreamFlow } from './streamFlow.ts';

const FREE = ControlFlags.StreamOpen | ControlFlags.StreamClose | ControlFlags.StreamCancel;

/** What a message costs its half: opening, closing and cancelling cost nothing. */
export function costOf(controlFlags: number, bytes: number): number {
  return (controlFlags & FREE) === 0 ? bytes + MESSAGE_COST : 0;
}

/**
 * The streams of one session: who hears of which, what of them was received and not read, and which limits the peer is to
 * be told. Nothing here grows with messages, and nothing looks at more than the stream that it is about.
 */
export class StreamTable {
  readonly #options: SettledTransportOptions;
  readonly #numbered = new NumberMap<StreamFlow>();
  /** Streams whose ids are texts: an application's own. */
  #named: Map<string, StreamFlow> | undefined;
  /** Limits that the peer was not told yet. */
  #due: Set<StreamFlow> | undefined;
  #held = 0;
  #pinned = 0;
  #waitingBytes = 0;
  #waitingCount = 0;
  /** What either side may send on a stream from the start; undefined without `credit`, and until the first answer. */
  #limit: number | undefined;
  #window: number | undefined;

  constructor(options: SettledTransportOptions) {
    this.#options = options;
  }

  /**
   * `credit` is agreed on.
   * @param limit what we may send on a stream from its start
   */
  agree(limit: number): void {
    this.#limit = limit;
    this.#window = this.#options.readableHighWaterBytes;
    for (const flow of this.#numbered.values()) flow.begin(limit, this.#window);
  }

  /** Bytes of messages that wait for credit, all streams together. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Streams that are open here, or have something to send. */
  get size(): number {
    return this.#numbered.size + (this.#named?.size ?? 0);
  }

  /** What the messages count for that were received and not read, all streams together. */
  get heldBytes(): number {
    return this.#held;
  }

  /** The same with what cost nothing, and is kept until its call ends. */
  get keptBytes(): number {
    return this.#held + this.#pinned;
  }

  get hasDue(): boolean {
    return this.#due !== undefined;
  }

  /** Ids of the streams that are open here; a snapshot. */
  get ids(): string[] {
    return this.#all()
      .filter(({ receiver }) => receiver !== undefined)
      .map(({ id }) => id);
  }

  get(streamId: string): StreamFlow | undefined {
    const number = streamNumber(streamId);
    return number > 0 ? this.#numbered.get(number) : this.#named?.get(streamId);
  }

  /** The stream with a number. */
  numbered(number: number): StreamFlow | undefined {
    return this.#numbered.get(number);
  }

  has(streamId: string): boolean {
    return this.get(streamId)?.receiver !== undefined;
  }

  #all(): StreamFlow[] {
    return [...this.#numbered.values(), ...(this.#named?.values() ?? [])];
  }

  #delete({ id, number }: StreamFlow): void {
    if (number > 0) this.#numbered.delete(number);
    else this.#named?.delete(id);
  }

  /**
   * @throws {TooManyStreamsError}
   * @throws {HoldfastError} `STREAM_IN_USE`
   */
  open(streamId: string, receiver: StreamReceiver): void {
    const number = streamNumber(streamId);
    if (this.get(streamId) !== undefined)
      throw new HoldfastError('STREAM_IN_USE', `stream ${streamId} is already open in this session`);
    const { maxStreamsPerSession } = this.#options;
    if (this.size >= maxStreamsPerSession) throw new TooManyStreamsError(maxStreamsPerSession);
    const flow = new StreamFlow(streamId, number, receiver);
    if (number > 0) {
      flow.begin(this.#limit, this.#window);
      this.#numbered.set(number, flow);
      return;
    }
    // A stream that has a name has no credit: frames name it by its number.
    this.#named ??= new Map();
    this.#named.set(streamId, flow);
  }

  /** Its call has ended here. What it said last may still wait for credit, and then goes when there is some. */
  close(streamId: string): void {
    const flow = this.get(streamId);
    if (flow === undefined) return;
    this.#held -= flow.heldBytes;
    this.#pinned -= flow.pinnedBytes;
    flow.pinnedBytes = 0;
    this.#due?.delete(flow);
    flow.receiver = undefined;
    flow.writers = undefined;
    if (!flow.isDraining) this.discard(flow);
  }

  /** Keeps a message until the peer allows it. */
  wait(flow: StreamFlow, bytes: Uint8Array, cost: number): void {
    flow.wait(bytes, cost);
    this.#waitingBytes += bytes.length;
    this.#waitingCount += 1;
  }

  /** Hands over what has credit by now, one message of each stream after the other. */
  release(flows: ReadonlySet<StreamFlow>, frame: (bytes: Uint8Array) => number): void {
    const moving = new Set(flows);
    while (moving.size > 0) {
      for (const flow of moving) {
        const message = flow.next();
        if (message === undefined) {
          moving.delete(flow);
          continue;
        }
        this.#waitingBytes -= message.bytes.length;
        this.#waitingCount -= 1;
        const nextSeq = frame(message.bytes);
        for (const fn of message.onFramed ?? []) fn(nextSeq);
      }
    }
    for (const flow of flows) if (flow.receiver === undefined && !flow.isDraining) this.#delete(flow);
  }

  /** What waits for credit is not wanted any more. */
  discard(flow: StreamFlow): void {
    this.#waitingBytes -= flow.waitingBytes;
    this.#waitingCount -= flow.waitingCount;
    flow.discard();
    if (flow.receiver === undefined) this.#delete(flow);
  }

  /**
   * A message came that somebody will read, now or later: it is held until {@link consumed}.
   * @param bytes what it counts for, at least its cost
   */
  receive(flow: StreamFlow, cost: number, bytes: number): void {
    flow.receive(cost, bytes);
    this.#held += bytes;
  }

  /** A message came that costs nothing, and is kept until its call ends. */
  pin(flow: StreamFlow, bytes: number): void {
    flow.pinnedBytes += bytes;
    this.#pinned += bytes;
  }

  /** So much of what was received was read. Returns what is held no more. */
  consumed(flow: StreamFlow, cost: number, share: number): number {
    const before = flow.heldBytes;
    if (flow.consume(cost, share)) {
      this.#due ??= new Set();
      this.#due.add(flow);
    }
    const freed = before - flow.heldBytes;
    this.#held -= freed;
    return freed;
  }

  /** Everything that the peer was told on earlier connections has to be said again on a new one. */
  repeat(): void {
    for (const flow of this.#numbered.values()) {
      if (flow.receiver === undefined || !flow.wasGranted) continue;
      this.#due ??= new Set();
      this.#due.add(flow);
    }
  }

  /** Takes out what the peer is to be told. */
  takeDue(): readonly Credit[] {
    const due = this.#due;
    if (due === undefined) return NO_CREDITS;
    this.#due = undefined;
    return [...due].map(({ number, granted }) => ({ stream: number, limit: granted }));
  }

  /** Everybody who hears of a stream; a snapshot. */
  get receivers(): StreamReceiver[] {
    return this.#all()
      .map(({ receiver }) => receiver)
      .filter((receiver) => receiver !== undefined);
  }
}
