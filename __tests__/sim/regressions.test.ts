import { test } from 'vitest';
import regressions from '../../testUtil/sim/regressions.json' with { type: 'json' };
import { expectSeeds } from './support/seeds.ts';

test.each(regressions)(
  'every invariant holds in seed $seed: $what',
  async ({ seed }) => {
    await expectSeeds(seed, 1);
  },
  30_000,
);
