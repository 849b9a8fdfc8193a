import type { TraceLine } from '../engine/trace.ts';
import type { Violation } from '../engine/world.ts';
import type { Workload } from '../workload/workload.ts';
import { type Narrowing, narrow } from './narrow.ts';
import { planOf } from './plan.ts';
import { type RunOutcome, runPlan } from './run.ts';

/** How to run a seed. */
export interface SeedOptions extends Narrowing {
  /** Keep a readable trace, also where everything holds. */
  readonly trace?: boolean | undefined;
  /** Other programs than the built-in ones. */
  readonly workload?: Workload | undefined;
}

/** What came of a seed. */
export type SeedOutcome =
  | ({ readonly ok: true } & RunOutcome)
  | ({ readonly ok: false; readonly violation: Violation; readonly trace: readonly TraceLine[] } & RunOutcome);

/** Runs one seed. Equal seeds and options are equal runs. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedOutcome> {
  const plan = narrow(planOf(seed), options);
  const { workload } = options;
  const outcome = await runPlan(plan, { trace: options.trace, workload });
  if (outcome.violation === undefined) return { ok: true, ...outcome };
  // Text costs time, so it is made only now: the same run again.
  const told = options.trace === true ? outcome : await runPlan(plan, { trace: true, workload });
  return { ok: false, ...told, violation: outcome.violation };
}
