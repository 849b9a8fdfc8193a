import type { TraceLine } from '../engine/trace.ts';
import type { Violation } from '../engine/world.ts';
import type { Workload } from '../workload/workload.ts';
import type { FaultClass } from './faultClasses.ts';
import { type Plan, planOf } from './plan.ts';
import { type RunOutcome, runPlan } from './run.ts';

/** What of a seed's plan is to happen. Whatever is undefined stays as the seed has it. */
export interface Narrowing {
  /** Only faults of these classes. */
  readonly kinds?: readonly FaultClass[] | undefined;
  /** Only faults with these numbers. */
  readonly faults?: readonly number[] | undefined;
  /** Only so many clients. */
  readonly clients?: number | undefined;
  /** Only so many milliseconds of faults. */
  readonly durationMs?: number | undefined;
}

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

/** A plan with less in it; what is left happens as before. */
export function narrow(
  plan: Plan,
  { kinds = plan.kinds, faults, clients = plan.clients, durationMs = plan.durationMs }: Narrowing,
): Plan {
  const kept = plan.faults.filter(
    ({ id, kind, client, at }) =>
      kinds.includes(kind) && (faults?.includes(id) ?? true) && client < clients && at < durationMs,
  );
  return { ...plan, kinds: plan.kinds.filter((kind) => kinds.includes(kind)), faults: kept, clients, durationMs };
}

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
