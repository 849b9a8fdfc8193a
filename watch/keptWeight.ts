import { weigh } from './chunk.ts';
import type { SettledKeep } from './store.ts';

/**
 * What an event weighs in a history in memory: nothing where it is not asked for; nor where nobody knows, for a value that no
 * codec carries may be of any size.
 */
export function keptWeight(event: unknown, { bytes }: SettledKeep): number {
  const weight = bytes === Number.POSITIVE_INFINITY ? 0 : weigh(event);
  return weight === Number.POSITIVE_INFINITY ? 0 : weight;
}
