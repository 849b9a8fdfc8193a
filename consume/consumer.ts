import type { Position } from '../watch/position.ts';
import type { NotAPromise } from '../watch/sqlite.ts';

/**
 * What to do when the history no longer holds what follows a consumer's position, or is another history. Recorded in every
 * case. `error`: stop, and wait for somebody. `restart`: call `reset`, and begin with the oldest event there is.
 * `skip-to-oldest`: go on with the oldest there is that it has not handled. `skip-to-head`: go on with what comes next.
 */
export const gapPolicies = ['error', 'restart', 'skip-to-oldest', 'skip-to-head'] as const;

/** One of {@link gapPolicies}. */
export type GapPolicy = (typeof gapPolicies)[number];

interface ConsumerBase<Tx> {
  /** Names its record; unique in the engine and stable across versions of the program. */
  readonly id: string;
  /** `to-head`: finished once it has caught up, until it is rebuilt or reactivated. Default `forever`. */
  readonly mode?: 'forever' | 'to-head' | undefined;
  /** Where it begins when it is booted for the first time. Default `start`: with the first event of the history. */
  readonly from?: 'start' | 'head' | undefined;
  /** Default `error`. */
  readonly onGap?: GapPolicy | undefined;
  /** Undoes everything that it has done, before it starts over; commits together with its new position. */
  readonly reset?: ((tx: Tx) => NotAPromise) | undefined;
}

/** Each effect commits with the position after it, in one transaction of the store: once, effectively. */
export interface TransactionalConsumer<E, Tx> extends ConsumerBase<Tx> {
  readonly effects?: 'transactional' | undefined;
  /**
   * Synchronous: a promise is refused, and what was done is rolled back. Throwing rolls back, too, and leaves the consumer
   * in `error` in front of this event.
   */
  handle(event: E, position: Position, tx: Tx): NotAPromise;
}

/** Effects that no transaction of the store can hold. */
export interface AsyncConsumer<E, Tx> extends ConsumerBase<Tx> {
  /**
   * `at-least-once`: the position is saved after the effect; a crash between the two, a failure or a lost lease repeats it.
   * `at-most-once`: the position is saved before the effect; what fails or crashes is not repeated.
   */
  readonly effects: 'at-least-once' | 'at-most-once';
  handle(event: E, position: Position, context: HandlerContext): unknown;
  /** After so many milliseconds the handler has failed. Default 30 000. */
  readonly timeoutMs?: number | undefined;
}

/** What an asynchronous handler knows of its call. */
export interface HandlerContext {
  /** Aborts when nobody waits for the handler any more: it timed out, the engine closes, or it lost its lease. */
  readonly signal: AbortSignal;
  /** How often this failed before, since the last success. */
  readonly attempt: number;
}

/** One reader of an ordered source, with a position of its own. */
export type Consumer<E, Tx> = TransactionalConsumer<E, Tx> | AsyncConsumer<E, Tx>;

/** Whether its effects are outside the store's transaction. */
export function isAsync<E, Tx>(consumer: Consumer<E, Tx>): consumer is AsyncConsumer<E, Tx> {
  return consumer.effects === 'at-least-once' || consumer.effects === 'at-most-once';
}
