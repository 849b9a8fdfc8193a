import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import type { Positioned } from '../watch/source.ts';
import { SourceError } from './errors.ts';
import type { ConsumerRecord } from './record.ts';

/** Consumers that can share a read: of one history, all of them at `lowest` or ahead of it. */
export interface Group {
  readonly lowest: Position;
  readonly records: readonly ConsumerRecord[];
}

/** Who of a status is behind the head; undefined if nobody is. Those of another history are a group of their own. */
export function groupOf(
  records: readonly ConsumerRecord[],
  status: 'active' | 'booting',
  head: Position,
): Group | undefined {
  let lowest: Position | undefined;
  for (const { status: its, position } of records) {
    if (its !== status || position === undefined || hasReached(position, head)) continue;
    // Of whichever history: the group is of the same.
    if (lowest === undefined || position.offset < lowest.offset) lowest = position;
  }
  if (lowest === undefined) return undefined;
  const { epoch } = lowest;
  const group = records.filter(
    (r) => r.status === status && r.position?.epoch === epoch && !hasReached(r.position, head),
  );
  return { lowest, records: group };
}

/**
 * How far an answer of the source goes that is before its head.
 * @param through what the source said of that, beside the events
 * @throws {SourceError} for what would make a consumer skip, repeat, or wait forever
 */
export function endOf(
  after: Position,
  events: readonly Positioned<unknown>[],
  through: Position | undefined,
): Position {
  const from = `${after.epoch}:${after.offset}`;
  let last = after;
  for (const { position } of events) {
    if (position.epoch !== after.epoch || position.offset <= last.offset) {
      throw new SourceError(`expected events in order after ${from}, got ${position.epoch}:${position.offset}`);
    }
    last = position;
  }
  if (events.length > 0) return last;
  if (through === undefined || through.epoch !== after.epoch || through.offset <= after.offset)
    throw new SourceError(`expected events after ${from}, which is before the head; got none`);
  return through;
}
