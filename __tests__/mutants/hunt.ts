import { runSeed, type SeedOptions, type SeedOutcome } from '../../testUtil/sim/run/seed.ts';
import type { Mutant } from './mutants.ts';
import { simulatorWith } from './plant.ts';

/** Every mutant is caught within so many seeds. */
export const MOST_SEEDS = 1_000;
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

async function faultOf(
  run: typeof runSeed,
  seed: number,
  options: SeedOptions,
  twice: boolean,
): Promise<Fault | undefined> {
  const outcome: SeedOutcome = await run(seed, options);
  if (outcome.violation !== undefined || !twice) return outcome.violation;
  const again = await run(seed, options);
  if (again.hash === outcome.hash) return undefined;
  return { invariant: REPEAT, message: `the trace is ${outcome.hash}, and ${again.hash} the second time` };
}

/** Runs seeds with a mutant until one breaks an invariant that holds in the same seed without it. */
export async function hunt(
  { name, patches, durationMs, isRandom = false }: Mutant,
  mostSeeds = MOST_SEEDS,
): Promise<Hunt> {
  const runMutant = await simulatorWith(name.replaceAll(/\W+/g, '-'), patches);
  const options = { durationMs };
  let crashes = 0;
  for (let seed = 1; seed <= mostSeeds; seed++) {
    const fault = await faultOf(runMutant, seed, options, isRandom);
    if (fault === undefined) continue;
    if (fault.invariant === CRASH) crashes += 1;
    else if ((await faultOf(runSeed, seed, options, isRandom)) === undefined)
      return { name, seed, invariant: fault.invariant, message: fault.message, crashes };
  }
  return { name, crashes };
}
