import type { Position } from '../watch/position.ts';

/** Base of everything that this entry point throws at its caller. */
export class ConsumeError extends Error {
  /** Stable, for programs; the message is for people. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option is missing, of the wrong type or out of range. */
export class ConsumeOptionsError extends ConsumeError {
  constructor(expected: string, got: unknown) {
    super('INVALID_OPTIONS', `expected ${expected}, got ${shown(got)}`);
  }
}

/** An id that belongs to no consumer of the engine, and to no record either where a record would do. */
export class UnknownConsumerError extends ConsumeError {
  constructor(id: string, known: readonly string[]) {
    super('UNKNOWN_CONSUMER', `expected the id of a consumer (${known.join(', ') || 'there is none'}), got '${id}'`);
  }
}

/** What was asked for is not possible in the status that the consumer has. */
export class ConsumerStatusError extends ConsumeError {
  constructor(id: string, doing: string, expected: readonly string[], status: string) {
    super('CONSUMER_STATUS', `${doing} '${id}': expected the status ${expected.join(' or ')}, got ${status}`);
  }
}

/**
 * A transactional effect returned a promise. What comes after an `await` would run outside the transaction, and statements
 * of others inside it; everything the effect has done up to then was rolled back.
 */
export class AsyncEffectError extends ConsumeError {
  constructor(what: string) {
    super('ASYNC_EFFECT', `expected ${what} to be done when it returns, got a promise; it was rolled back`);
  }
}

/** The store failed, so nothing is known to have been saved; nobody's position moved. `cause` has the store's error. */
export class StoreError extends ConsumeError {
  constructor(doing: string, cause: unknown) {
    super('STORE', `${doing}: ${messageOf(cause)}`, { cause });
  }
}

/** Something that must be durable when it returns was asked for inside a transaction. */
export function nestedTransaction(): StoreError {
  const cause = new Error('a transaction is open, and what is committed here must not be undone with it');
  return new StoreError('expected no transaction to be open', cause);
}

/** The source failed, or answered with what no source may answer with; nobody's position moved. */
export class SourceError extends ConsumeError {
  constructor(message: string, cause?: unknown) {
    super('SOURCE', message, cause === undefined ? undefined : { cause });
  }
}

/** The engine was closed: it runs nothing any more. */
export class EngineClosedError extends ConsumeError {
  constructor(engine: string) {
    super('ENGINE_CLOSED', `the engine '${engine}' is closed`);
  }
}

/** Another runner has taken the lease over; what this one had not committed was rolled back. */
export class LeaseLostError extends ConsumeError {
  constructor(engine: string) {
    super('LEASE_LOST', `the lease of the engine '${engine}' was taken over by another runner`);
  }
}

/** A handler did not settle within its consumer's `timeoutMs`. It may still be at work; its signal was aborted. */
export class HandlerTimeoutError extends ConsumeError {
  constructor(id: string, timeoutMs: number) {
    super('HANDLER_TIMEOUT', `the handler of '${id}' did not settle within ${timeoutMs} ms`);
  }
}

/** `reached` gave up. Whether the position will be reached is unknown. */
export class ReachedTimeoutError extends ConsumeError {
  /** @param lagging who has not reached it, each with its status */
  constructor(wanted: Position, timeoutMs: number, lagging: readonly string[]) {
    super(
      'REACHED_TIMEOUT',
      `${wanted.epoch}:${wanted.offset} was not reached within ${timeoutMs} ms by ${lagging.join(', ')}`,
    );
  }
}

/** Somebody is executing this id at the moment, as far as the ledger knows. Deliver it again later, do not confirm it. */
export class OnceInProgressError extends ConsumeError {
  constructor(scope: string, id: string) {
    super('ONCE_IN_PROGRESS', `'${id}' in '${scope}' is being executed by another call; deliver it again later`);
  }
}

/** What an error of anybody's code says. */
export function messageOf(error: unknown): string {
  // What an error has there is for its maker to say.
  const said: unknown = error instanceof Error ? error.message : error;
  return typeof said === 'string' ? said : shown(said);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
