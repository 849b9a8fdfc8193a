import { expect, test } from 'vitest';
import { rareClasses, rareDeeds } from '../../testUtil/sim/chain/chainFigures.ts';
import { chainWorkloads } from '../../testUtil/sim/chain/workloads.ts';
import { expectChainSeeds } from './support/chainSeeds.ts';
import { freshBase } from './support/seeds.ts';

const SEEDS = 100;
const from = freshBase + 2_000_000;

test.each(chainWorkloads)(
  `every promise of $name holds in ${SEEDS} fresh seeds from ${from}, and every class of faults and deed is common`,
  async (workload) => {
    const figures = await expectChainSeeds(from, SEEDS, { workload });
    const { name, spared = [] } = workload;
    // These commit nothing.
    const absent = ['calls', 'collecting'].includes(name) ? [...spared, 'crashAtCommit'] : spared;
    expect(rareClasses(figures).filter((kind) => !absent.includes(kind))).toEqual([]);
    expect(rareDeeds(figures, workload)).toEqual([]);
  },
  600_000,
);
