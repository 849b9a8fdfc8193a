import { InvalidArgumentError } from './errors.ts';
import type { Position } from './position.ts';
import type { ReadOutcome } from './source.ts';
import type { Extent } from './store.ts';

/**
 * Where reading begins in a history.
 * @returns an offset between floor and head, or the gap that lies before it
 * @throws {InvalidArgumentError} for a limit that is none
 */
export function startOfRead(
  { epoch, floor, head }: Extent,
  after: Position | undefined,
  limit: number,
): number | (ReadOutcome<never> & { kind: 'gap' }) {
  if (!(Number.isInteger(limit) && limit >= 1))
    throw new InvalidArgumentError(`expected a limit that is a whole number from 1, got ${limit}`);
  const offset = after === undefined ? floor : after.offset;
  if ((after === undefined || after.epoch === epoch) && offset >= floor && offset <= head) return offset;
  return { kind: 'gap', oldest: { epoch, offset: Math.min(floor, head) }, head: { epoch, offset: head } };
}
