import { type ChainFaultClass, chainFaultClasses } from './chainFaultClasses.ts';
import type { ChainOutcome } from './chainRun.ts';

/** A seed that did not hold. */
export interface ChainFailure {
  readonly seed: number;
  readonly workload: string;
  readonly invariant: string;
  readonly message: string;
  readonly time: number;
}

/** What many runs came to; plain data, so that processes can hand it on. */
export interface ChainFigures {
  runs: number;
  simulatedMs: number;
  events: number;
  /** Faults of each class, and runs that had any. */
  faults: Record<ChainFaultClass, number>;
  runsWith: Record<ChainFaultClass, number>;
  failures: ChainFailure[];
}

/** Every class is in at least this part of the runs. */
const LEAST_SHARE = 0.05;

const zeroes = (): Record<ChainFaultClass, number> =>
  Object.fromEntries(chainFaultClasses.map((kind) => [kind, 0])) as Record<ChainFaultClass, number>; // every class is there

/** Nothing counted yet. */
export function noChainFigures(): ChainFigures {
  return { runs: 0, simulatedMs: 0, events: 0, faults: zeroes(), runsWith: zeroes(), failures: [] };
}

/** Counts one run in. */
export function addChainRun(figures: ChainFigures, outcome: ChainOutcome): void {
  const { violation, workload, plan, faults } = outcome;
  figures.runs += 1;
  figures.simulatedMs += outcome.simulatedMs;
  figures.events += outcome.events;
  for (const kind of chainFaultClasses) {
    figures.faults[kind] += faults[kind];
    if (faults[kind] > 0) figures.runsWith[kind] += 1;
  }
  if (violation !== undefined) figures.failures.push({ seed: plan.seed, workload, ...violation });
}

/** Adds what another process counted. */
export function addChainFigures(figures: ChainFigures, more: ChainFigures): void {
  for (const key of ['runs', 'simulatedMs', 'events'] as const) figures[key] += more[key];
  for (const kind of chainFaultClasses) {
    figures.faults[kind] += more.faults[kind];
    figures.runsWith[kind] += more.runsWith[kind];
  }
  figures.failures.push(...more.failures);
}

/** Classes that hardly happen in these runs. */
export function rareClasses({ runs, runsWith }: ChainFigures): ChainFaultClass[] {
  return chainFaultClasses.filter((kind) => runsWith[kind] < LEAST_SHARE * runs);
}

/** The figures for people. */
export function formatChainFigures(figures: ChainFigures): string {
  const { runs, simulatedMs, events, faults, runsWith, failures } = figures;
  const lines = chainFaultClasses.map((kind) => {
    const share = (100 * runsWith[kind]) / Math.max(1, runs);
    return `  ${kind.padEnd(16)} ${String(faults[kind]).padStart(8)}   in ${share.toFixed(0).padStart(3)} % of the seeds`;
  });
  return [
    `${runs} seeds, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${events} events`,
    ...lines,
    failures.length === 0 ? 'no invariant was broken' : `${failures.length} seeds broke an invariant`,
  ].join('\n');
}
