import { expect, test } from 'vitest';
import { runChaos } from './chaos.ts';

/** Two minutes by default; any length by hand. */
const seconds = Number(process.env['HOLDFAST_CHAOS_SECONDS'] ?? 120);
const seed = Number(process.env['HOLDFAST_CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

test(
  `real processes over real sockets lose, repeat and reorder nothing under ${seconds} s of chaos (seed ${seed})`,
  async () => {
    const outcome = await runChaos(seconds * 1_000, seed);
    console.log(JSON.stringify({ ...outcome, faults: outcome.faults.length }));
    expect(outcome.faults).toEqual([]);
    expect(outcome.received).toBeGreaterThan(seconds * 50);
    expect(Object.keys(outcome.made).length).toBeGreaterThanOrEqual(Math.min(7, Math.floor(seconds / 15)));
  },
  seconds * 1_000 + 60_000,
);
