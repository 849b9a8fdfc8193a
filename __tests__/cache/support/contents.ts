import { Contents } from '../../../cache/contents.ts';
import type { FlightLimits } from '../../../cache/flights.ts';
import type { CacheStore } from '../../../cache/store.ts';
import type { Position } from '../../../watch/position.ts';
import { quietClock } from '../../watch/support/clock.ts';

export const at = (offset: number, epoch = 'e'): Position => ({ epoch, offset });
export const dropping = (...keys: string[]) => keys.map((key) => ({ event: { key } }));

const usual: FlightLimits = { maxFetches: 100, maxConcurrentFetches: 100, fetchTimeoutMs: 1_000 };

export function contentsOn(store: CacheStore<number> = new Map(), limits: Partial<FlightLimits> = {}) {
  const clock = quietClock();
  return { clock, store, contents: new Contents<number>(store, { ...usual, ...limits }, clock) };
}
