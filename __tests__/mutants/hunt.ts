import type { Mutant } from './mutants.ts';
import { chainSimulatorWith, simulatorWith } from './plant.ts';

/** Every mutant is caught within so many seeds, */
export const MOST_SEEDS = 1_000;
/** and one of the layers above sessions within so many. */
const MOST_CHAIN_SEEDS = 1_000;
/** Not an invariant: the library threw, which proves nothing about the oracle. */
const CRASH = 'crash';
/** Equal seeds are equal runs. */
const REPEAT = 'one seed, one trace';

/** How a mutant fared. */
export interface Hunt {
  readonly name: string;
  /** The first seed that caught it; undefined if it survived. */
  readonly seed?: number;
  /** Number of the invariant it broke there. */
  readonly invariant?: string;
  readonly message?: string;
  /** Seeds before, in which the library threw. */
  readonly crashes: number;
}

interface Fault {
  readonly invariant: string;
  readonly message: string;
}

/** What runs a seed, of either simulator. */
type RunOf = (seed: number) => Promise<{ readonly violation: Fault | undefined; readonly hash: string }>;

async function faultOf(run: RunOf, seed: number, twice: boolean): Promise<Fault | undefined> {
  const outcome = await run(seed);
  if (outcome.violation !== undefined || !twice) return outcome.violation;
  const again = await run(seed);
  if (again.hash === outcome.hash) return undefined;
  return { invariant: REPEAT, message: `the trace is ${outcome.hash}, and ${again.hash} the second time` };
}

async function runnerOf({ name, patches, durationMs, workload }: Mutant): Promise<RunOf> {
  const file = name.replaceAll(/\W+/g, '-');
  if (workload === undefined) {
    const run = await simulatorWith(file, patches);
    return (seed) => run(seed, { durationMs });
  }
  const run = await chainSimulatorWith(`chain-${file}`, patches);
  return (seed) => run(seed, { durationMs, workload });
}

/** Runs seeds with a mutant until one breaks an invariant that holds in the same seed without it. */
export async function hunt(mutant: Mutant, mostSeeds = MOST_SEEDS): Promise<Hunt> {
  const { name, isRandom = false } = mutant;
  const runMutant = await runnerOf(mutant);
  const run = await runnerOf({ ...mutant, name: `${name} as it is`, patches: [] });
  let crashes = 0;
  const most = mutant.workload === undefined ? mostSeeds : Math.min(mostSeeds, MOST_CHAIN_SEEDS);
  for (let seed = 1; seed <= most; seed++) {
    const fault = await faultOf(runMutant, seed, isRandom);
    if (fault === undefined) continue;
    if (fault.invariant === CRASH) crashes += 1;
    else if ((await faultOf(run, seed, isRandom)) === undefined)
      return { name, seed, invariant: fault.invariant, message: fault.message, crashes };
  }
  return { name, crashes };
}
