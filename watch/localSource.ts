import { hasReached } from './hasReached.ts';
import type { TopicRequest } from './messages.ts';
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

/** Where events for whoever subscribes follow from, and whether that is where it asked. */
export interface SubscriptionStart {
  readonly position: Position;
  readonly isRecovered: boolean;
  /** How far the history goes, where `position` does not say it. */
  readonly head?: Position;
}

/** Where a subscription begins. */
export function beginningOf(source: LocalSource<unknown>, { since, from }: TopicRequest): SubscriptionStart {
  const head = source.head();
  if (since !== undefined && source.read(since, 1).kind === 'events')
    return { position: since, isRecovered: true, ...(!hasReached(since, head) && { head }) };
  if (from !== 'oldest') return { position: head, isRecovered: false };
  return { position: oldestOf(source, head), isRecovered: false, head };
}

/**
 * The same for one that wants whatever there is, as mirrors do: what a source in this process does not hold, its origin may. Rejects
 * with {@link OriginError} if that cannot be asked just now.
 */
export function beginningAtOrigin(
  source: LocalSource<unknown>,
  request: TopicRequest,
): SubscriptionStart | Promise<SubscriptionStart> {
  const start = beginningOf(source, request);
  if (start.isRecovered || request.from !== 'oldest' || source.readFromOrigin === undefined) return start;
  const position = request.since ?? { epoch: start.position.epoch, offset: 0 };
  return source.readFromOrigin(position, 1).then((outcome) => {
    if (outcome.kind === 'gap') return { position: outcome.oldest, isRecovered: false, head: outcome.head };
    const head = source.head();
    return { position, isRecovered: request.since !== undefined, ...(!hasReached(position, head) && { head }) };
  });
}

/** What lies before the oldest event that is held; the head, where none is. */
function oldestOf(source: LocalSource<unknown>, head: Position): Position {
  const outcome = source.read(undefined, 1);
  const oldest = outcome.kind === 'events' ? outcome.events[0]?.position : undefined;
  return oldest === undefined ? head : { epoch: oldest.epoch, offset: oldest.offset - 1 };
}
