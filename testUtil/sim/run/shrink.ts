import { type Narrowable, type Narrowing, narrow } from './narrow.ts';
import { planOf } from './plan.ts';
import { runPlan } from './run.ts';
import type { SeedOptions } from './seed.ts';

/** A run that fails is repeated at most so many times to make it smaller. */
const MAX_RUNS = 150;
/** What happens within so many milliseconds after the last fault belongs to it. */
const MARGIN_MS = 500;

/** Makes a failing plan smaller, for as long as it breaks the same invariant. */
class Shrinker<Kind extends string, P extends Narrowable<Kind>> {
  plan: P;
  readonly #fails: (plan: P) => Promise<boolean>;
  #runs = 0;

  constructor(plan: P, fails: (plan: P) => Promise<boolean>) {
    this.plan = plan;
    this.#fails = fails;
  }

  /** Keeps the smaller plan if it still fails. */
  async try(narrowing: Narrowing<Kind>): Promise<boolean> {
    if (this.#runs >= MAX_RUNS) return false;
    this.#runs += 1;
    const smaller = narrow<Kind, P>(this.plan, narrowing);
    if (!(await this.#fails(smaller))) return false;
    this.plan = smaller;
    return true;
  }

  async fewerClasses(): Promise<void> {
    for (const kind of this.plan.kinds) {
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

/**
 * Finds less of a plan that fails in the same way: fewer clients, fewer classes, fewer faults, a shorter time.
 * @param fails runs a plan and says whether it fails so
 */
export async function shrinkPlan<Kind extends string, P extends Narrowable<Kind>>(
  plan: P,
  fails: (plan: P) => Promise<boolean>,
): Promise<Narrowing<Kind>> {
  const shrinker = new Shrinker<Kind, P>(plan, fails);
  await shrinker.fewerClients();
  await shrinker.fewerClasses();
  await shrinker.fewerFaults();
  await shrinker.shorter();
  const { kinds, faults, clients, durationMs } = shrinker.plan;
  return { kinds, faults: faults.map(({ id }) => id), clients, durationMs };
}

/** The same for a seed that breaks an invariant. */
export function shrink(seed: number, invariant: string, options: SeedOptions = {}): Promise<Narrowing> {
  const { workload } = options;
  return shrinkPlan(
    narrow(planOf(seed), options),
    async (plan) => (await runPlan(plan, { workload })).violation?.invariant === invariant,
  );
}

/** What of a command line narrows a plan. */
export function narrowingFlags({ kinds, faults, clients, durationMs }: Narrowing<string>): string {
  return [
    kinds === undefined ? '' : ` --classes ${kinds.join(',') || 'none'}`,
    faults === undefined ? '' : ` --faults ${faults.join(',') || 'none'}`,
    clients === undefined ? '' : ` --clients ${clients}`,
    durationMs === undefined ? '' : ` --duration ${durationMs}`,
  ].join('');
}

/** The command that runs a seed again, as far as it was narrowed. */
export function replayCommand(seed: number, narrowing: Narrowing = {}): string {
  return `npm run sim -- --seed ${seed}${narrowingFlags(narrowing)} --trace`;
}
