import { expect, test } from 'vitest';
import { faultsPerRun } from '../../testUtil/sim/run/summary.ts';
import { expectSeeds, freshBase } from './support/seeds.ts';

const from = freshBase + 100;

test(`every invariant holds in 100 fresh seeds from ${from}`, async () => {
  const figures = await expectSeeds(from, 100);
  expect(figures.runs).toBe(100);
  expect(faultsPerRun(figures)).toBeGreaterThan(10);
}, 60_000);
