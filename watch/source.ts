import type { Position } from './position.ts';

/** An event and its place in the history. */
export interface Positioned<E> {
  readonly position: Position;
  readonly event: E;
}

/**
 * What a source answers to `read`. `events` continue without a gap where the reader stood; there may be fewer than asked
 * for, and none at the head. With `through` they are all there is up to there: what is missing before it was filtered, or never
 * told to a mirror, and a reader may go on from there. `gap` means that the history no longer holds what follows the reader's position, or that the
 * position is of another epoch or beyond the head: something was missed that cannot be had.
 */
export type ReadOutcome<E> =
  | {
      readonly kind: 'events';
      readonly events: readonly Positioned<E>[];
      readonly through?: Position | undefined;
    }
  | {
      readonly kind: 'gap';
      /** Reading after it gives everything that is still held: one before the oldest event. */
      readonly oldest: Position;
      readonly head: Position;
    };

/** An ordered history of events that can be read from any position it still holds: a topic, or a mirror of one. */
export interface EventSource<E> {
  /** The position of the newest event; offset 0 where there was none. */
  head(): Position | Promise<Position>;
  /**
   * @param after the last position seen; undefined reads from the oldest event there is
   * @param limit at most so many events
   */
  read(after: Position | undefined, limit: number): ReadOutcome<E> | Promise<ReadOutcome<E>>;
  /**
   * Of a source that holds the newest part of another's history only: reads as {@link read} does, what the other one holds. Asked
   * for what `read` said is a gap; what is one here, too, nobody has. Rejects if that cannot be told just now.
   */
  readonly readFromOrigin?: ((after: Position, limit: number) => Promise<ReadOutcome<E>>) | undefined;
  /**
   * Calls `listener` after the head moved; several events may share a call. Nothing is passed: read.
   * @returns what ends it; harmless when called twice
   */
  onAppend(listener: () => void): () => void;
}
