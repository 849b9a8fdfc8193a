import { HoldfastError } from '../router/index.ts';
import type { Position } from './position.ts';

/** A position as people read it. */
export function showPosition({ epoch, offset }: Position): string {
  return `${offset} of epoch ${epoch}`;
}

/** What is waited for where nobody has seen anything: that it begins, wherever. */
export const BEGINNING: Position = { epoch: 'any', offset: 0 };

function showWanted(wanted: Position): string {
  return wanted === BEGINNING ? 'the beginning' : `position ${showPosition(wanted)}`;
}

/** An option or an argument is out of range. */
export class InvalidArgumentError extends HoldfastError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

/** What was to be published does not fit the schema of the topic, or is too large for it. Nothing was published. */
export class InvalidEventError extends HoldfastError {
  constructor(message: string) {
    super('INVALID_EVENT', message);
  }
}

/** What was to be stored holds something that a store of text cannot give back as it was. Nothing was stored. */
export class EventNotStorableError extends HoldfastError {
  constructor(path: string, what: string) {
    super(
      'EVENT_NOT_STORABLE',
      `expected null, a boolean, a finite number, a string, a bigint, bytes, or an array or plain object of these at ${path === '' ? '/' : path}, got ${what}`,
    );
  }
}

/**
 * An event cannot be sent to a subscriber, who was reset instead: it is larger than its session sends, or than the procedure
 * permits, or holds something that no codec carries. It is for the log.
 */
export class UnsendableEventError extends HoldfastError {
  readonly position: Position;
  constructor(position: Position, bytes: number, maxBytes: number) {
    const why =
      bytes === Number.POSITIVE_INFINITY
        ? 'it holds something that no codec carries, or is nested too deeply'
        : `it takes up to ${bytes} bytes, expected at most ${maxBytes}`;
    super(
      'EVENT_UNSENDABLE',
      `event ${showPosition(position)} cannot be sent, and is a gap to its subscribers: ${why}`,
    );
    this.position = position;
  }
}

/** A transaction cannot be run as it was asked for; it was rolled back. */
export class TransactionError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('TRANSACTION', message, options);
  }
}

/** The topic, mirror or watch was closed, or the transport that it needs. */
export class WatchClosedError extends HoldfastError {
  constructor(doing: string, what = 'it') {
    super('WATCH_CLOSED', `${what} was closed: ${doing} is not possible any more`);
  }
}

/** What a mirror does not hold could not be had from its origin just now. Nothing is known to be missing: ask again. */
export class OriginError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('ORIGIN', message, options);
  }
}

/** The server refuses the subscription; nobody tries again by itself. */
export class NotAuthorizedError extends HoldfastError {
  constructor(message: string) {
    super('NOT_AUTHORIZED', message);
  }
}

/** A position was not seen in time. Whether it will be is unknown. */
export class ReachedTimeoutError extends HoldfastError {
  readonly wanted: Position;
  readonly seen: Position | undefined;
  constructor(wanted: Position, seen: Position | undefined, timeoutMs: number) {
    const where = seen === undefined ? 'nothing was seen yet' : `seen up to ${showPosition(seen)}`;
    super('REACHED_TIMEOUT', `${showWanted(wanted)} was not reached within ${timeoutMs} ms: ${where}`);
    this.wanted = wanted;
    this.seen = seen;
  }
}

/** The history that a position belongs to is over: it can never be seen. */
export class OtherEpochError extends HoldfastError {
  readonly wanted: Position;
  readonly seen: Position;
  constructor(wanted: Position, seen: Position) {
    super(
      'OTHER_EPOCH',
      `position ${showPosition(wanted)} cannot be reached: the history goes on at ${showPosition(seen)}`,
    );
    this.wanted = wanted;
    this.seen = seen;
  }
}

/** Whoever waited gave up: its signal was aborted. `cause` is the signal's reason. */
export class ReachedAbortedError extends HoldfastError {
  constructor(wanted: Position, reason: unknown) {
    super('REACHED_ABORTED', `waiting for ${showWanted(wanted)} was given up`, { cause: reason });
  }
}

/** A load did not come to its end in time; it is made again. */
export class LoadTimeoutError extends HoldfastError {
  constructor(timeoutMs: number) {
    super('LOAD_TIMEOUT', `expected a load to end within ${timeoutMs} ms, it did not`);
  }
}

/** What a load gave cannot be brought together with the events that were heard; it is made again. */
export class UnusableLoadError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNUSABLE_LOAD', message, options);
  }
}
