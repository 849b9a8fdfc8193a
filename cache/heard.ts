import type { Position } from '../watch/position.ts';

/**
 * Whether somebody who has heard everything up to `heard` has heard of `wanted`. Of another epoch nothing is known: false.
 * As `hasReached` of watch, which stands beside a schema: a page that only caches would load all schemas with it.
 */
export function hasHeard(heard: Position | undefined, wanted: Position): boolean {
  return heard !== undefined && heard.epoch === wanted.epoch && heard.offset >= wanted.offset;
}
