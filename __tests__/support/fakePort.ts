import { type Clock, systemClock } from '../../transport/clock.ts';
import { SessionClosedError } from '../../transport/errors.ts';
import type { IncomingMessage, OutgoingMessage } from '../../transport/message.ts';
import type { SessionPort, StreamReceiver } from '../../transport/stream.ts';

/** A session by itself: it keeps what is sent, and the test says what is confirmed and when there is room. */
export class FakePort implements SessionPort {
  readonly id = 'session-1';
  readonly from = 'me';
  readonly to = 'peer';
  readonly clock: Clock = systemClock;
  isOpen = true;
  isConnected = true;
  speaksExtensions = false;
  maxMessageBytes = 1024 * 1024;
  metadata: unknown = undefined;
  principal: string | undefined;
  idempotency: undefined;
  transmittedSeq = 0;
  isReady = true;
  /** Thrown by the next {@link send}. */
  refusal: Error | undefined;
  readonly sent: OutgoingMessage[] = [];
  consumedCost = 0;
  readonly overflows: string[] = [];
  readonly streams = new Map<string, StreamReceiver>();
  #ids = 0;
  readonly #confirmWaiters = new Set<() => void>();
  readonly #writeWaiters = new Set<() => void>();

  get streamCount(): number {
    return this.streams.size;
  }

  get nextSeq(): number {
    return this.sent.length;
  }

  /** Callbacks that wait for a confirmation or for room. */
  get waiters(): number {
    return this.#confirmWaiters.size + this.#writeWaiters.size;
  }

  newStreamId(): string {
    this.#ids += 1;
    return String(this.#ids);
  }

  openStream(streamId: string, receiver: StreamReceiver): void {
    this.streams.set(streamId, receiver);
  }

  closeStream(streamId: string): void {
    this.streams.delete(streamId);
  }

  leaveStream(streamId: string): undefined {
    this.closeStream(streamId);
  }

  hasStream(streamId: string): boolean {
    return this.streams.has(streamId);
  }

  send(message: OutgoingMessage): void {
    if (!this.isOpen) throw new SessionClosedError(this.id, 'sending');
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal !== undefined) throw refusal;
    this.sent.push(message);
  }

  unsend(): boolean {
    return false;
  }

  discard(): void {}

  consumed(_streamId: string, cost: number): void {
    this.consumedCost += cost;
  }

  isWriteReady(): boolean {
    return this.isReady;
  }

  overflow(message: string): void {
    this.overflows.push(message);
  }

  onceWriteReady(_streamId: string, fn: () => void): () => void {
    this.#writeWaiters.add(fn);
    return () => this.#writeWaiters.delete(fn);
  }

  onceConfirmed(_streamId: string, fn: () => void): () => void {
    this.#confirmWaiters.add(fn);
    return () => this.#confirmWaiters.delete(fn);
  }

  /** The peer confirmed everything. */
  confirm(): void {
    for (const fn of [...this.#confirmWaiters]) {
      this.#confirmWaiters.delete(fn);
      fn();
    }
  }

  /** There is room again. */
  becomeReady(): void {
    this.isReady = true;
    for (const fn of [...this.#writeWaiters]) {
      this.#writeWaiters.delete(fn);
      fn();
    }
  }
}

/** A message as a session delivers it. */
export function incoming(fields: Partial<IncomingMessage>): IncomingMessage {
  return {
    id: 'm',
    from: 'peer',
    to: 'me',
    seq: 0,
    ack: 0,
    streamId: 's1',
    controlFlags: 0,
    payload: undefined,
    ...fields,
  };
}
