import type { Position } from './position.ts';
import type { ReachedOptions } from './reached.ts';
import type { EventSource, ReadOutcome } from './source.ts';

/** A source in this process, which answers at once: a topic or a mirror. */
export interface LocalSource<E> extends EventSource<E> {
  head(): Position;
  read(after: Position | undefined, limit: number): ReadOutcome<E>;
  /**
   * Resolves once the head has come to a position.
   * Rejects with {@link ReachedTimeoutError}, {@link OtherEpochError}, {@link ReachedAbortedError} or
   * {@link WatchClosedError}.
   */
  reached(position: Position, options?: ReachedOptions | undefined): Promise<void>;
  /** Ends everything that waits or listens. */
  close(): void;
}
