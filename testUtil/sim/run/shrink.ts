import { faultClasses } from './faultClasses.ts';
import { type Plan, planOf } from './plan.ts';
import { runPlan } from './run.ts';
import { type Narrowing, narrow, type SeedOptions } from './seed.ts';

/** A run that fails is repeated at most so many times to make it smaller. */
const MAX_RUNS = 150;
/** What happens within so many milliseconds after the last fault belongs to it. */
const MARGIN_MS = 500;

/** Makes a failing plan smaller, for as long as it breaks the same invariant. */
class Shrinker {
  plan: Plan;
  readonly #invariant: string;
  readonly #workload: SeedOptions['workload'];
  #runs = 0;

  constructor(plan: Plan, invariant: string, workload: SeedOptions['workload']) {
    this.plan = plan;
    this.#invariant = invariant;
    this.#workload = workload;
  }

  /** Keeps the smaller plan if it still fails. */
  async try(narrowing: Narrowing): Promise<boolean> {
    if (this.#runs >= MAX_RUNS) return false;
    this.#runs += 1;
    const smaller = narrow(this.plan, narrowing);
    const { violation } = await runPlan(smaller, { workload: this.#workload });
    if (violation?.invariant !== this.#invariant) return false;
    this.plan = smaller;
    return true;
  }

  async fewerClasses(): Promise<void> {
    for (const kind of faultClasses) {
      if (this.plan.kinds.includes(kind)) await this.try({ kinds: this.plan.kinds.filter((other) => other !== kind) });
    }
  }

  async fewerFaults(): Promise<void> {
    for (let size = Math.ceil(this.plan.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < this.plan.faults.length; ) {
        const ids = this.plan.faults.map(({ id }) => id);
        const isGone = await this.try({ faults: [...ids.slice(0, from), ...ids.slice(from + size)] });
        if (!isGone) from += size;
      }
    }
  }

  async fewerClients(): Promise<void> {
    while (this.plan.clients > 1 && (await this.try({ clients: this.plan.clients - 1 })));
  }

  async shorter(): Promise<void> {
    const last = this.plan.faults.at(-1)?.at ?? 0;
    if (await this.try({ durationMs: Math.ceil(last) + MARGIN_MS })) return;
    while (this.plan.durationMs > 2_000 && (await this.try({ durationMs: Math.ceil(this.plan.durationMs * 0.7) })));
  }
}

/** Finds less of a seed that fails in the same way: fewer clients, fewer classes, fewer faults, a shorter time. */
export async function shrink(seed: number, invariant: string, options: SeedOptions = {}): Promise<Narrowing> {
  const shrinker = new Shrinker(narrow(planOf(seed), options), invariant, options.workload);
  await shrinker.fewerClients();
  await shrinker.fewerClasses();
  await shrinker.fewerFaults();
  await shrinker.shorter();
  const { kinds, faults, clients, durationMs } = shrinker.plan;
  return { kinds, faults: faults.map(({ id }) => id), clients, durationMs };
}

/** The command that runs a seed again, as far as it was narrowed. */
export function replayCommand(seed: number, { kinds, faults, clients, durationMs }: Narrowing = {}): string {
  const flags = [
    kinds === undefined ? '' : ` --classes ${kinds.join(',') || 'none'}`,
    faults === undefined ? '' : ` --faults ${faults.join(',') || 'none'}`,
    clients === undefined ? '' : ` --clients ${clients}`,
    durationMs === undefined ? '' : ` --duration ${durationMs}`,
  ];
  return `npm run sim -- --seed ${seed}${flags.join('')} --trace`;
}
