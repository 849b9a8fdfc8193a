import type { CancelTimer } from '../transport/clock.ts';
import type { SessionPort } from '../transport/stream.ts';
import { CallEndedError, WriteAfterCloseError } from './errors.ts';
import type { SharedValue } from './sharedValue.ts';
import { pump, type WriteAllOptions, type WriteSource } from './writeAll.ts';

/** One direction of a call, as its writer sees it. Once closed, or once the call has ended, it stays so. */
export interface Writable<T> {
  /**
   * Sends a value.
   * @returns false if the reader is too far behind, or the session holds more unconfirmed than it should: wait with
   *   {@link waitForWriteReady}. Also false, and the value is dropped, once the call has ended
   * @throws {WriteAfterCloseError} after {@link close}
   * @throws {CodecError | MessageTooLargeError | SessionBufferFullError} on the client, for a value that cannot be
   *   sent; the call goes on without it. On the server such a value ends the call with an error
   */
  write(value: T): boolean;
  /**
   * Resolves when {@link write} would return true. Rejects with {@link CallEndedError} once the call has ended, so that
   * a loop that writes and waits comes to its end.
   */
  waitForWriteReady(): Promise<void>;
  /**
   * Nothing follows, but for `value` where one is given. Closing again does nothing.
   * @throws {WriteAfterCloseError} if a value is given to a writable that is closed
   */
  close(value?: T): void;
  /** True until it is closed or the call ends. */
  isWritable(): boolean;
  /**
   * Writes everything a source yields, waiting whenever the session holds too much. Does not close. If the source
   * throws, so does this and the writable stays open; if the call ends first, this rejects with
   * {@link CallEndedError} and the source is released.
   */
  writeAll(source: WriteSource<T>, options?: WriteAllOptions | undefined): Promise<void>;
}

/** Where a writable's values go: the call it is a half of. */
export interface WriteTarget<T> {
  readonly port: SessionPort;
  readonly streamId: string;
  writeValue(value: T): void;
  writeShared(shared: SharedValue): void;
  /** Closes the half, with a last value unless it is undefined. */
  closeWith(value: T | undefined): void;
}

interface Wait {
  promise: Promise<void>;
  reject: (error: Error) => void;
  cancel: CancelTimer;
}

const ignore = (): void => undefined;

/** A {@link Writable} over one half of a call. */
export class WritableHalf<T> implements Writable<T> {
  /** Undefined once the call has ended; a call that never began has none from the start. */
  #target: WriteTarget<T> | undefined;
  #closed = false;
  #endReason: string;
  #ready: Wait | undefined;
  #releases: Set<CancelTimer> | undefined;
  #endings: Set<(error: CallEndedError) => void> | undefined;

  /** @param endReason why there is no target, where there is none */
  constructor(target: WriteTarget<T> | undefined, endReason = '') {
    this.#target = target;
    this.#endReason = endReason;
  }

  write(value: T): boolean {
    return this.#write((target) => target.writeValue(value));
  }

  /** Writes a value that goes to others, too. */
  writeShared(shared: SharedValue): boolean {
    return this.#write((target) => target.writeShared(shared));
  }

  #write(write: (target: WriteTarget<T>) => void): boolean {
    if (this.#closed) throw new WriteAfterCloseError('writing');
    const target = this.#target;
    if (target === undefined) return false;
    write(target);
    return this.#target !== undefined && target.port.isWriteReady(target.streamId); // writing may have ended the call
  }

  waitForWriteReady(): Promise<void> {
    const target = this.#target;
    if (target === undefined) return rejected(new CallEndedError(this.#endReason));
    if (target.port.isWriteReady(target.streamId)) return Promise.resolve();
    this.#ready ??= this.#waitFor(target);
    return this.#ready.promise;
  }

  close(value?: T): void {
    if (this.#closed) {
      if (value !== undefined) throw new WriteAfterCloseError('closing with a value');
      return;
    }
    this.#closed = true;
    try {
      this.#target?.closeWith(value);
    } catch (error) {
      this.#closed = false; // the last value could not be sent: the half is as open as before
      throw error;
    }
  }

  isWritable(): boolean {
    return !this.#closed && this.#target !== undefined;
  }

  writeAll(source: WriteSource<T>, options: WriteAllOptions = {}): Promise<void> {
    return pump(this, source, options.onConfirmed);
  }

  /** The call has ended: releases whoever waits. */
  end(reason: string): void {
    if (this.#target === undefined) return;
    this.#target = undefined;
    this.#endReason = reason;
    this.#ready?.cancel();
    this.#ready?.reject(new CallEndedError(reason));
    this.#ready = undefined;
    for (const release of this.#releases ?? []) release();
    this.#releases = undefined;
    for (const tell of this.#endings ?? []) tell(new CallEndedError(reason));
    this.#endings = undefined;
  }

  /** Calls `fn` when the call ends, at once if it has. Returns how to withdraw that. */
  onceEnded(fn: (error: CallEndedError) => void): CancelTimer {
    if (this.#target === undefined) {
      fn(new CallEndedError(this.#endReason));
      return ignore;
    }
    this.#endings ??= new Set();
    const endings = this.#endings.add(fn);
    return () => endings.delete(fn);
  }

  /** Calls `fn` once the peer has confirmed what was written so far; not if the call ends before. */
  onceConfirmed(fn: () => void): void {
    if (this.#target === undefined) return;
    this.#releases ??= new Set();
    const releases = this.#releases;
    let isConfirmed = false;
    let forget: CancelTimer | undefined;
    const release = this.#target.port.onceConfirmed(this.#target.streamId, () => {
      isConfirmed = true;
      if (forget !== undefined) releases.delete(forget);
      fn();
    });
    forget = release;
    if (!isConfirmed) releases.add(release);
  }

  #waitFor({ port, streamId }: WriteTarget<T>): Wait {
    let resolve = ignore;
    let reject: (error: Error) => void = ignore;
    const promise = new Promise<void>((onReady, onEnd) => {
      resolve = onReady;
      reject = onEnd;
    });
    promise.catch(ignore); // somebody who asked and walked away must not end the process
    const cancel = port.onceWriteReady(streamId, () => {
      this.#ready = undefined;
      resolve();
    });
    return { promise, reject, cancel };
  }
}

function rejected(error: Error): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}
