import { expect } from 'vitest';
import { addChainRun, type ChainFigures, noChainFigures } from '../../../testUtil/sim/chain/chainFigures.ts';
import { type ChainSeedOptions, replayChainCommand, runChainSeed } from '../../../testUtil/sim/chain/chainSeed.ts';

/** Runs seeds of the chain and expects that every invariant holds in all of them. */
export async function expectChainSeeds(
  from: number,
  count: number,
  options: ChainSeedOptions = {},
): Promise<ChainFigures> {
  const figures = noChainFigures();
  const broken: string[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runChainSeed(seed, options);
    addChainRun(figures, outcome);
    const { violation, workload } = outcome;
    if (violation === undefined) continue;
    const { invariant, message, time } = violation;
    broken.push(`${replayChainCommand(seed, workload)}: invariant ${invariant} at ${time.toFixed(1)} ms: ${message}`);
  }
  expect(broken, `of seeds ${from} to ${from + count - 1}`).toEqual([]);
  return figures;
}
