import { describe, expect, test } from 'vitest';
import { planOf } from '../../testUtil/sim/run/plan.ts';
import { runPlan } from '../../testUtil/sim/run/run.ts';
import { runSeed } from '../../testUtil/sim/run/seed.ts';

const seedsFrom = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('a seed is one run', () => {
  test('50 seeds, twice each, leave the same trace', async () => {
    for (const seed of seedsFrom(1_000, 50)) {
      const first = await runPlan(planOf(seed));
      const second = await runPlan(planOf(seed));
      expect(second.hash, `seed ${seed}`).toBe(first.hash);
      expect(second.faults).toEqual(first.faults);
    }
  }, 60_000);

  test('a readable trace changes nothing', async () => {
    const silent = await runSeed(1_100);
    const told = await runSeed(1_100, { trace: true });
    expect(told.hash).toBe(silent.hash);
    expect(silent.trace).toEqual([]);
    expect(told.trace.length).toBeGreaterThan(100);
  });

  test('different seeds are different runs', async () => {
    const hashes = await Promise.all(seedsFrom(1_200, 5).map(async (seed) => (await runSeed(seed)).hash));
    expect(new Set(hashes).size).toBe(5);
  });

  test('more turns of the microtask queue change nothing: after each event none is left', async () => {
    for (const seed of seedsFrom(1_300, 10)) {
      const { hash } = await runPlan(planOf(seed));
      expect((await runPlan(planOf(seed), { moreTurns: 200 })).hash, `seed ${seed}`).toBe(hash);
    }
  }, 30_000);

  test('leaving faults out leaves the others as they were', async () => {
    const plan = planOf(1_400);
    const outcome = await runSeed(1_400, { faults: plan.faults.slice(0, 3).map(({ id }) => id) });
    expect(outcome.plan.faults).toEqual(plan.faults.slice(0, 3));
    expect(outcome.plan.options).toEqual(plan.options);
  });
});
