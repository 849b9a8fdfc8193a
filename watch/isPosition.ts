// A file of its own: whoever looks at positions in a page need not load schemas.
import type { Position } from './position.ts';

/** As long as an epoch may be. */
export const MAX_EPOCH_LENGTH = 64;

/** What `PositionSchema` describes. A server would refuse any other, however often it is asked. */
export function isPosition(value: unknown): value is Position {
  if (typeof value !== 'object' || value === null || !('epoch' in value) || !('offset' in value)) return false;
  const { epoch, offset } = value;
  if (typeof epoch !== 'string' || epoch.length === 0 || epoch.length > MAX_EPOCH_LENGTH) return false;
  return Number.isSafeInteger(offset) && Number(offset) >= 0;
}
