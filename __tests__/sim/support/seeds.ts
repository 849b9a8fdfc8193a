import { expect } from 'vitest';
import { runSeed, type SeedOptions } from '../../../testUtil/sim/run/seed.ts';
import { replayCommand } from '../../../testUtil/sim/run/shrink.ts';
import { addRun, type Figures, noFigures } from '../../../testUtil/sim/run/summary.ts';

/** Where fresh seeds begin: another place each second. It is in every message, so that a failure can be had again. */
export const freshBase = Math.floor(Date.now() / 1_000) * 1_000;

/** Runs seeds and expects that every invariant holds in all of them. */
export async function expectSeeds(from: number, count: number, options: SeedOptions = {}): Promise<Figures> {
  const figures = noFigures();
  const broken: string[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runSeed(seed, options);
    addRun(figures, outcome, 0);
    if (outcome.ok) continue;
    const { invariant, message, time } = outcome.violation;
    broken.push(`${replayCommand(seed)}: invariant ${invariant} at ${time.toFixed(1)} ms: ${message}`);
  }
  expect(broken, `of seeds ${from} to ${from + count - 1}`).toEqual([]);
  return figures;
}
