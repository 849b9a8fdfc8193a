import { CallEndedError } from './errors.ts';

/** What `writeAll` takes. */
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
}

/** Writes a source to a writable and heeds its backpressure. Throws what `onConfirmed` throws while it runs. */
export async function pump<T>(
  writable: PumpTarget<T>,
  source: WriteSource<T>,
  onConfirmed: ((bytes: number) => void) | undefined,
): Promise<void> {
  const progress = onConfirmed === undefined ? undefined : new Progress(writable, onConfirmed);
  for await (const value of iterate(source)) {
    const ready = writable.write(value);
    progress?.wrote(contentBytes(value));
    if (!ready) await writable.waitForWriteReady();
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
      try {
        this.#report(asked);
      } catch (error) {
        this.#failure = { error }; // this runs inside the session, which a user's callback must not disturb
      }
      // Only now: the session may answer the next question at once, and reports rise.
      this.#asked = undefined;
      if (this.#written > asked) this.#ask();
    });
  }
}

function iterate<T>(source: WriteSource<T>): Iterable<T> | AsyncIterable<T> {
  return Symbol.asyncIterator in source || Symbol.iterator in source ? source : readStream(source);
}

// Safari's ReadableStream is no async iterable.
async function* readStream<T>(stream: ReadableStream<T>): AsyncGenerator<T, void, undefined> {
  const reader = stream.getReader();
  let isDone = false;
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) yield chunk.value;
    isDone = true;
  } finally {
    if (!isDone) void reader.cancel(new CallEndedError('it takes no more values')).catch(() => undefined);
    reader.releaseLock();
  }
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
