import {
  CallError,
  type ErrorPayload,
  READABLE_BROKEN_CODE,
  type ReadableBrokenError,
  ReadableLockedError,
} from './errors.ts';
import { Err, type Result } from './result.ts';

/** What a readable yields: results, and one error of its own should it be broken. */
export type ReadableResult<T, E> = Result<T, E | ReadableBrokenError>;

/** The one iterator of a readable. */
export interface ReadableIterator<T, E> {
  next(): Promise<IteratorResult<ReadableResult<T, E>, undefined>>;
  /** Breaks the readable: what leaving a `for await` loop early does. */
  return(): Promise<IteratorResult<ReadableResult<T, E>, undefined>>;
}

/**
 * One direction of a call, as its reader sees it. It has one consumer for life: the first iteration, {@link collect} or
 * {@link break} locks it. If the call fails, the error is its last result.
 */
export interface Readable<T, E> {
  /** @throws {ReadableLockedError} */
  [Symbol.asyncIterator](): ReadableIterator<T, E>;
  /**
   * Every result until the end. Rejects with {@link ReadableLockedError} where somebody else reads.
   */
  collect(): Promise<ReadableResult<T, E>[]>;
  /**
   * Discards what has arrived and will arrive. A reader that waits gets `READABLE_BROKEN` once. Breaking the
   * `resReadable` of a subscription also cancels the call, for nothing of it could be seen any more; a stream goes on
   * until its request half or its signal ends it.
   */
  break(): void;
  /** True until somebody reads or breaks it. */
  isReadable(): boolean;
}

type Reader<T, E> = (item: IteratorResult<ReadableResult<T, E>, undefined>) => void;

const COMPACT_FROM = 1024;

/** What only the iterator of a queue may do with it. */
let take: <T, E>(queue: ReadableQueue<T, E>) => Promise<IteratorResult<ReadableResult<T, E>, undefined>>;
let leave: <T, E>(queue: ReadableQueue<T, E>) => void;

/** A {@link Readable} and its other end. Values wait here until somebody reads them. */
export class ReadableQueue<T, E> implements Readable<T, E> {
  static {
    take = (queue) => queue.#take();
    leave = (queue) => queue.#leave();
  }

  #items: (ReadableResult<T, E> | undefined)[] = [];
  /** What the items cost, one each. */
  #costs: number[] = [];
  #head = 0;
  /** A reader that waits, and those who asked for more before it had its answer. */
  #reader: Reader<T, E> | undefined;
  #furtherReaders: Reader<T, E>[] | undefined;
  #state: 'open' | 'closed' | 'broken' = 'open';
  #locked = false;
  /** Broken before its end: whoever reads on is told so once. */
  #owesBrokenError = false;
  readonly #onRead: ((cost: number) => void) | undefined;
  readonly #onBreak: (() => void) | undefined;

  /**
   * @param onRead called with the cost of what was read, or thrown away
   * @param onBreak called once if the readable is broken before it was closed
   */
  constructor(onRead?: (cost: number) => void, onBreak?: () => void) {
    this.#onRead = onRead;
    this.#onBreak = onBreak;
  }

  [Symbol.asyncIterator](): ReadableIterator<T, E> {
    if (this.#locked) throw new ReadableLockedError();
    this.#locked = true;
    return new QueueIterator(this);
  }

  async collect(): Promise<ReadableResult<T, E>[]> {
    const results: ReadableResult<T, E>[] = [];
    for await (const result of this) results.push(result);
    return results;
  }

  break(): void {
    if (this.#state === 'broken') return;
    const wasOpen = this.#state === 'open';
    this.#owesBrokenError = wasOpen || this.#head < this.#items.length;
    this.#locked = true;
    this.#state = 'broken';
    let unread = 0;
    for (let i = this.#head; i < this.#costs.length; i++) unread += this.#costs[i] ?? 0;
    this.#items = [];
    this.#costs = [];
    this.#head = 0;
    this.#releaseReaders();
    if (unread > 0) this.#onRead?.(unread);
    if (wasOpen) this.#onBreak?.();
  }

  isReadable(): boolean {
    return !this.#locked;
  }

  /**
   * Hands in the next result; dropped after the end.
   * @returns true if nobody has read it yet: its cost is told once somebody does
   */
  push(result: Result<T, E>, cost = 0): boolean {
    if (this.#state !== 'open') return false;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = this.#furtherReaders?.shift();
      reader({ done: false, value: result });
      return false;
    }
    this.#items.push(result);
    this.#costs.push(cost);
    return true;
  }

  /** Nothing follows. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#releaseReaders();
  }

  #releaseReaders(): void {
    const [reader, further] = [this.#reader, this.#furtherReaders];
    this.#reader = undefined;
    this.#furtherReaders = undefined;
    reader?.(this.#afterLast());
    for (const one of further ?? []) one(this.#afterLast());
  }

  #afterLast(): IteratorResult<ReadableResult<T, E>, undefined> {
    if (!this.#owesBrokenError) return { done: true, value: undefined };
    this.#owesBrokenError = false;
    return {
      done: false,
      value: Err({ code: READABLE_BROKEN_CODE, message: 'the readable was broken before its end' }),
    };
  }

  #take(): Promise<IteratorResult<ReadableResult<T, E>, undefined>> {
    const result = this.#items[this.#head];
    if (result !== undefined) {
      const cost = this.#costs[this.#head] ?? 0;
      this.#items[this.#head] = undefined; // a value that was read must not live on in the queue
      this.#head += 1;
      if (this.#head === this.#items.length || (this.#head >= COMPACT_FROM && this.#head * 2 > this.#items.length)) {
        this.#items = this.#items.slice(this.#head);
        this.#costs = this.#costs.slice(this.#head);
        this.#head = 0;
      }
      if (cost > 0) this.#onRead?.(cost);
      return Promise.resolve({ done: false, value: result });
    }
    if (this.#state !== 'open') return Promise.resolve(this.#afterLast());
    return new Promise((resolve) => this.#wait(resolve));
  }

  #wait(reader: Reader<T, E>): void {
    if (this.#reader === undefined) {
      this.#reader = reader;
      return;
    }
    this.#furtherReaders ??= [];
    this.#furtherReaders.push(reader);
  }

  /** Its reader leaves by itself: unless it had asked before, it need not be told. */
  #leave(): void {
    this.break();
    this.#owesBrokenError = false;
  }
}

class QueueIterator<T, E> implements ReadableIterator<T, E> {
  readonly #queue: ReadableQueue<T, E>;

  constructor(queue: ReadableQueue<T, E>) {
    this.#queue = queue;
  }

  next(): Promise<IteratorResult<ReadableResult<T, E>, undefined>> {
    return take(this.#queue);
  }

  return(): Promise<IteratorResult<ReadableResult<T, E>, undefined>> {
    leave(this.#queue);
    return Promise.resolve({ done: true, value: undefined });
  }
}

/**
 * The values of a readable, without their results around them: `for await (const value of values(resReadable))`.
 * @throws {CallError} instead of yielding an error result
 */
export async function* values<T, E extends ErrorPayload>(readable: Readable<T, E>): AsyncGenerator<T, void, undefined> {
  for await (const result of readable) {
    if (!result.ok) throw new CallError(result.payload);
    yield result.payload;
  }
}
