import { type Narrowing, narrow } from '../run/narrow.ts';
import { narrowingFlags, shrinkPlan } from '../run/shrink.ts';
import type { ChainFaultClass } from './chainFaultClasses.ts';
import { type ChainPlan, chainPlanOf } from './chainPlan.ts';
import { type ChainOutcome, runChainPlan } from './chainRun.ts';
import type { ChainWorkload } from './chainWorkload.ts';
import { chainWorkloads } from './workloads.ts';

/** How to run a seed. */
export interface ChainSeedOptions extends Narrowing<ChainFaultClass> {
  /** Keep a readable trace, also where everything holds. */
  readonly trace?: boolean | undefined;
  /** The programs, or the name of built-in ones; by default each seed has its turn with each. */
  readonly workload?: ChainWorkload | string | undefined;
}

/** @throws for a name that nothing built in has */
function workloadOf(seed: number, wanted: ChainSeedOptions['workload']): ChainWorkload {
  if (typeof wanted === 'object') return wanted;
  const found =
    wanted === undefined
      ? chainWorkloads[seed % chainWorkloads.length]
      : chainWorkloads.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  throw new Error(`expected a workload (${chainWorkloads.map(({ name }) => name).join(', ')}), got '${wanted}'`);
}

function planOf(seed: number, workload: ChainWorkload, options: ChainSeedOptions): ChainPlan {
  return narrow<ChainFaultClass, ChainPlan>(chainPlanOf(seed, workload.spared), options);
}

/** Runs one seed. Equal seeds and options are equal runs. */
export async function runChainSeed(seed: number, options: ChainSeedOptions = {}): Promise<ChainOutcome> {
  const workload = workloadOf(seed, options.workload);
  const plan = planOf(seed, workload, options);
  const outcome = await runChainPlan(plan, workload, { trace: options.trace });
  if (outcome.violation === undefined || options.trace === true) return outcome;
  // Text costs time, so it is made only now: the same run again.
  return runChainPlan(plan, workload, { trace: true });
}

/** Finds less of a seed that fails in the same way. */
export function shrinkChain(
  seed: number,
  invariant: string,
  options: ChainSeedOptions = {},
): Promise<Narrowing<ChainFaultClass>> {
  const workload = workloadOf(seed, options.workload);
  return shrinkPlan<ChainFaultClass, ChainPlan>(
    planOf(seed, workload, options),
    async (plan) => (await runChainPlan(plan, workload)).violation?.invariant === invariant,
  );
}

/** The command that runs a seed again, as far as it was narrowed. */
export function replayChainCommand(seed: number, workload: string, narrowing: Narrowing<ChainFaultClass> = {}): string {
  return `npm run sim:chain -- --seed ${seed} --workload ${workload}${narrowingFlags(narrowing)} --trace`;
}
