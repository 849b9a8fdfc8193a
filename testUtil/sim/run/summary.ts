import { type FaultClass, faultClasses } from './faultClasses.ts';
import type { RunOutcome } from './run.ts';

/** A seed that did not hold. */
export interface Failure {
  readonly seed: number;
  readonly invariant: string;
  readonly message: string;
  readonly time: number;
}

/** What many runs came to; plain data, so that processes can hand it on. */
export interface Figures {
  runs: number;
  simulatedMs: number;
  /** Milliseconds of a core. */
  busyMs: number;
  events: number;
  deliveries: number;
  blindPairs: number;
  /** Faults of each class, and runs that had any. */
  faults: Record<FaultClass, number>;
  runsWith: Record<FaultClass, number>;
  failures: Failure[];
}

/** Every class is in at least this part of the runs. */
const LEAST_SHARE = 0.05;
/** And a run has at least so many faults, on average. */
const LEAST_FAULTS = 15;
/** Of fewer runs the shares say nothing. */
const JUDGED_FROM = 200;

const zeroes = (): Record<FaultClass, number> =>
  Object.fromEntries(faultClasses.map((kind) => [kind, 0])) as Record<FaultClass, number>; // every class is there

/** Nothing counted yet. */
export function noFigures(): Figures {
  return {
    runs: 0,
    simulatedMs: 0,
    busyMs: 0,
    events: 0,
    deliveries: 0,
    blindPairs: 0,
    faults: zeroes(),
    runsWith: zeroes(),
    failures: [],
  };
}

/** Counts one run in. */
export function addRun(figures: Figures, outcome: RunOutcome, busyMs: number): void {
  figures.runs += 1;
  figures.simulatedMs += outcome.simulatedMs;
  figures.busyMs += busyMs;
  figures.events += outcome.events;
  figures.deliveries += outcome.deliveries;
  figures.blindPairs += outcome.blindPairs;
  for (const kind of faultClasses) {
    figures.faults[kind] += outcome.faults[kind];
    if (outcome.faults[kind] > 0) figures.runsWith[kind] += 1;
  }
  if (outcome.violation !== undefined) figures.failures.push({ seed: outcome.plan.seed, ...outcome.violation });
}

/** Adds what another process counted. */
export function addFigures(figures: Figures, more: Figures): void {
  for (const key of ['runs', 'simulatedMs', 'busyMs', 'events', 'deliveries', 'blindPairs'] as const)
    figures[key] += more[key];
  for (const kind of faultClasses) {
    figures.faults[kind] += more.faults[kind];
    figures.runsWith[kind] += more.runsWith[kind];
  }
  figures.failures.push(...more.failures);
}

/** Faults of a run, on average. */
export function faultsPerRun({ faults, runs }: Figures): number {
  return Object.values(faults).reduce((sum, count) => sum + count, 0) / Math.max(1, runs);
}

/** Simulated hours in a minute of one core. */
export function hoursPerMinute({ simulatedMs, busyMs }: Figures): number {
  return simulatedMs / 3_600_000 / (Math.max(1, busyMs) / 60_000);
}

/** Why these runs prove less than they should, or undefined: too few faults, or a class that hardly happens. */
export function weakness(figures: Figures): string | undefined {
  if (figures.runs < JUDGED_FROM) return undefined;
  const rare = faultClasses.filter((kind) => figures.runsWith[kind] < LEAST_SHARE * figures.runs);
  if (rare.length > 0) return `in fewer than 5 % of the seeds: ${rare.join(', ')}`;
  const average = faultsPerRun(figures);
  return average < LEAST_FAULTS ? `only ${average.toFixed(1)} faults a run, expected ${LEAST_FAULTS}` : undefined;
}

/** The figures for people. */
export function formatFigures(figures: Figures): string {
  const { runs, simulatedMs, events, deliveries, blindPairs, failures } = figures;
  const lines = faultClasses.map((kind) => {
    const share = (100 * figures.runsWith[kind]) / Math.max(1, runs);
    return `  ${kind.padEnd(16)} ${String(figures.faults[kind]).padStart(8)}   in ${share.toFixed(0).padStart(3)} % of the seeds`;
  });
  return [
    `${runs} seeds, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${events} events, ${deliveries} numbered messages delivered`,
    `${hoursPerMinute(figures).toFixed(1)} simulated hours a minute and core, ${faultsPerRun(figures).toFixed(1)} faults a run`,
    `${blindPairs} sessions went on after a loss that counters cannot show`,
    ...lines,
    failures.length === 0 ? 'no invariant was broken' : `${failures.length} seeds broke an invariant`,
  ].join('\n');
}
