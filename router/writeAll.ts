import { callSafely, isThenable } from '../transport/thenable.ts';
import { CallEndedError } from './errors.ts';

/** What `writeAll` takes. Bytes of a `ReadableStream`, which says nothing by where it cuts them, are written 64 KiB at most at a time. */
export type WriteSource<T> = Iterable<T> | AsyncIterable<T> | ReadableStream<T>;

/** Options of `writeAll`. */
export interface WriteAllOptions {
  /**
   * Called with the content bytes of this source that the peer has confirmed so far, after each confirmation and, at the
   * latest, with the answer to the call. Content is what the values hold: binary counts its length, text its UTF-8
   * length, numbers and bigints 8, booleans 1; names and framing count nothing, so that a file's progress ends at its
   * size.
   */
  onConfirmed?: ((bytes: number) => void) | undefined;
}

/** What {@link pump} needs of a writable. */
export interface PumpTarget<T> {
  write(value: T): boolean;
  waitForWriteReady(): Promise<void>;
  onceConfirmed(fn: () => void): void;
  /** Calls `fn` when the call ends, at once if it has. Returns how to withdraw that. */
  onceEnded(fn: (error: CallEndedError) => void): () => void;
}

/** Writes a source to a writable and heeds its backpressure. Throws what `onConfirmed` throws while it runs. */
export async function pump<T>(
  writable: PumpTarget<T>,
  source: WriteSource<T>,
  onConfirmed: ((bytes: number) => void) | undefined,
): Promise<void> {
  const progress = onConfirmed === undefined ? undefined : new Progress(writable, onConfirmed);
  const iterator = iteratorOf(source);
  const ending = new Ending(writable);
  let isSourceOver = false;
  try {
    for (;;) {
      isSourceOver = true; // one that throws is
      const step = iterator.next();
      const { done, value } = isThenable(step) ? await ending.orFirst(step) : step;
      if (done === true) return;
      isSourceOver = false;
      const written = isThenable(value) ? await ending.orFirst(value) : value;
      const ready = writable.write(written);
      progress?.wrote(contentBytes(written));
      if (!ready) await writable.waitForWriteReady();
    }
  } catch (error) {
    if (!isSourceOver || ending.has) release(iterator);
    throw error;
  } finally {
    ending.forget();
  }
}

/** The end of a call, before which whoever waits for its source gives up. */
class Ending {
  /** Withdraws what the writable was asked. */
  readonly forget: () => void;
  #error: CallEndedError | undefined;
  #giveUp: ((error: CallEndedError) => void) | undefined;

  constructor(writable: PumpTarget<never>) {
    this.forget = writable.onceEnded((error) => {
      this.#error = error;
      this.#giveUp?.(error);
    });
  }

  get has(): boolean {
    return this.#error !== undefined;
  }

  /** What the source says, unless the call ends first. */
  orFirst<V>(said: PromiseLike<V>): Promise<V> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      if (this.#error !== undefined) reject(this.#error);
      said.then(resolve, reject);
    });
  }
}

/** Reports what was confirmed, with one question to the session under way at a time. */
class Progress {
  readonly #writable: PumpTarget<never>;
  readonly #report: (bytes: number) => void;
  #written = 0;
  /** What the question under way is about; undefined while there is none. */
  #asked: number | undefined;
  #failure: { error: unknown } | undefined;

  constructor(writable: PumpTarget<never>, report: (bytes: number) => void) {
    this.#writable = writable;
    this.#report = report;
  }

  wrote(bytes: number): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#written += bytes;
    if (this.#asked === undefined) this.#ask();
  }

  #ask(): void {
    const asked = this.#written;
    this.#asked = asked;
    this.#writable.onceConfirmed(() => {
      // This runs inside the session, which a user's callback must not disturb.
      callSafely(
        () => this.#report(asked),
        (error) => {
          this.#failure ??= { error };
        },
      );
      // Only now: the session may answer the next question at once, and reports rise.
      this.#asked = undefined;
      if (this.#written > asked) this.#ask();
    });
  }
}

type AnyIterator<T> = Iterator<T | PromiseLike<T>, unknown> | AsyncIterator<T, unknown>;

function iteratorOf<T>(source: WriteSource<T>): AnyIterator<T> {
  if ('getReader' in source) return readerOf(source);
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

/** What a stream's own pieces are cut to: a browser reads files by 2 MiB, which no message holds. */
const PIECE_BYTES = 64 * 1024;

/** Of its own: Safari's ReadableStream is no async iterable, and none can be given up while it waits. */
function readerOf<T>(stream: ReadableStream<T>): AsyncIterator<T, unknown> {
  const reader = stream.getReader();
  let rest: Uint8Array | undefined;
  return {
    async next() {
      if (rest === undefined) {
        const { done, value } = await reader.read();
        if (done) reader.releaseLock();
        if (done || !(value instanceof Uint8Array)) return { done, value } as IteratorResult<T, unknown>; // as read() says
        rest = value;
      }
      const piece = rest.subarray(0, PIECE_BYTES);
      rest = rest.length > PIECE_BYTES ? rest.subarray(PIECE_BYTES) : undefined;
      return { done: false, value: piece as T }; // a part of what is bytes is bytes
    },
    async return() {
      const cancelled = reader.cancel(new CallEndedError('it takes no more values'));
      reader.releaseLock();
      await cancelled;
      return { done: true, value: undefined };
    },
  };
}

/** Nobody wants more of it. One that still waits for something hears of it when that has come; nobody waits for it. */
function release(iterator: AnyIterator<unknown>): void {
  callSafely(
    () => iterator.return?.(),
    () => undefined,
  );
}

function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate pair is two units and four bytes: two for each half.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** The content of a value in bytes, as {@link WriteAllOptions.onConfirmed} counts it. */
export function contentBytes(value: unknown): number {
  if (typeof value === 'string') return utf8Bytes(value);
  if (typeof value === 'number' || typeof value === 'bigint') return 8;
  if (typeof value === 'boolean') return 1;
  if (typeof value !== 'object' || value === null) return 0;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  let bytes = 0;
  for (const item of Object.values(value)) bytes += contentBytes(item);
  return bytes;
}
