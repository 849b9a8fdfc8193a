import { randomFor } from '../engine/random.ts';
import { type PlannedOptions, planOptions, settleMs, termsOf } from '../run/plan.ts';
import { type ChainFaultClass, chainFaultClasses, chainRates } from './chainFaultClasses.ts';

/** One fault that will happen, all of it decided. Leaving one out changes none of the others. */
export interface ChainFault {
  /** Position in the seed's plan: stays what it is while a plan is shrunk. */
  readonly id: number;
  readonly kind: ChainFaultClass;
  /** Milliseconds from the beginning. */
  readonly at: number;
  /** Which leaf, by number. */
  readonly client: number;
  /** Where a link or any process may be meant: that between service and provider, or the service. */
  readonly isInner: boolean;
  /** Four numbers in [0, 1) that decide the rest. */
  readonly dice: readonly [number, number, number, number];
}

/** Everything that a seed decides before the run begins. */
export interface ChainPlan {
  readonly seed: number;
  /** Leaves. */
  readonly clients: number;
  /** Milliseconds of faults. */
  readonly durationMs: number;
  readonly options: PlannedOptions;
  readonly kinds: readonly ChainFaultClass[];
  readonly faults: readonly ChainFault[];
}

/** Of faults that may meet either link, so many meet the inner one. */
const INNER = 0.5;

function planFaults(
  seed: number,
  kinds: readonly ChainFaultClass[],
  clients: number,
  durationMs: number,
): ChainFault[] {
  const faults: ChainFault[] = [];
  chainFaultClasses.forEach((kind, position) => {
    const random = randomFor(seed, 'chain', 'faults', kind);
    const count = random.integer(1, chainRates[kind]);
    for (let i = 0; i < count; i++) {
      const fault = {
        id: position * 100 + i,
        kind,
        at: random.between(0.02, 0.96) * durationMs,
        client: random.integer(0, clients - 1),
        isInner: random.chance(INNER),
        dice: [random.next(), random.next(), random.next(), random.next()] as const,
      };
      if (kinds.includes(kind)) faults.push(fault);
    }
  });
  return faults.sort((a, b) => a.at - b.at);
}

/**
 * What a seed stands for.
 * @param spared classes that it does not have, whatever the seed says
 */
export function chainPlanOf(seed: number, spared: readonly ChainFaultClass[] = []): ChainPlan {
  const random = randomFor(seed, 'chain', 'plan');
  const clients = random.pick([1, 1, 2, 3]);
  const durationMs = 40_000 + random.integer(0, 10_000);
  const chosen = randomFor(seed, 'chain', 'classes');
  const kinds = chainFaultClasses.filter(() => chosen.chance(0.5)).filter((kind) => !spared.includes(kind));
  return {
    seed,
    clients,
    durationMs,
    // Without `resume` a restart may go unnoticed, and no layer above can make up for that; the other simulator judges it.
    options: { ...planOptions(randomFor(seed, 'chain', 'options')), hasResumeExtension: true },
    kinds,
    faults: planFaults(seed, kinds, clients, durationMs),
  };
}

/** By then every process is connected again, one hop after the other. */
export function chainSettleMs({ options }: ChainPlan): number {
  return 2 * settleMs(termsOf({ options, workload: 'router', kinds: [] }));
}
