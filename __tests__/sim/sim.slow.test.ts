import { expect, test } from 'vitest';
import { weakness } from '../../testUtil/sim/run/summary.ts';
import { expectSeeds, freshBase } from './support/seeds.ts';

const from = freshBase + 1_000_000;

test(`every invariant holds in 2 000 fresh seeds from ${from}, and every class of faults is common`, async () => {
  const figures = await expectSeeds(from, 2_000);
  expect(weakness(figures)).toBeUndefined();
}, 1_200_000);
