// A file of its own: whoever compares positions in a page need not load schemas.
import type { Position } from './position.ts';

/** Whether somebody who has seen everything up to `seen` has seen `wanted`. Of another epoch nothing is known: false. */
export function hasReached(seen: Position | undefined, wanted: Position): boolean {
  return seen !== undefined && seen.epoch === wanted.epoch && seen.offset >= wanted.offset;
}
