import { type ChainFaultClass, chainFaultClasses } from './chainFaultClasses.ts';
import type { ChainOutcome } from './chainRun.ts';
import type { ChainWorkload } from './chainWorkload.ts';

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
  /** What programs counted, by `workload: deed`. */
  deeds: Record<string, Deed>;
  /** Runs of each workload. */
  runsOf: Record<string, number>;
  failures: ChainFailure[];
}

/** Something that programs did. */
export interface Deed {
  times: number;
  /** Runs in which it happened. */
  runs: number;
}

/** Every class is in at least this part of the runs. */
const LEAST_SHARE = 0.05;

const zeroes = (): Record<ChainFaultClass, number> =>
  Object.fromEntries(chainFaultClasses.map((kind) => [kind, 0])) as Record<ChainFaultClass, number>; // every class is there

/** Nothing counted yet. */
export function noChainFigures(): ChainFigures {
  return {
    runs: 0,
    simulatedMs: 0,
    events: 0,
    faults: zeroes(),
    runsWith: zeroes(),
    deeds: {},
    runsOf: {},
    failures: [],
  };
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
  figures.runsOf[workload] = (figures.runsOf[workload] ?? 0) + 1;
  for (const [deed, times] of outcome.deeds) addDeed(figures, `${workload}: ${deed}`, { times, runs: 1 });
  if (violation !== undefined) figures.failures.push({ seed: plan.seed, workload, ...violation });
}

function addDeed({ deeds }: ChainFigures, name: string, { times, runs }: Deed): void {
  const deed = deeds[name] ?? { times: 0, runs: 0 };
  deeds[name] = { times: deed.times + times, runs: deed.runs + runs };
}

/** Adds what another process counted. */
export function addChainFigures(figures: ChainFigures, more: ChainFigures): void {
  for (const key of ['runs', 'simulatedMs', 'events'] as const) figures[key] += more[key];
  for (const kind of chainFaultClasses) {
    figures.faults[kind] += more.faults[kind];
    figures.runsWith[kind] += more.runsWith[kind];
  }
  for (const [name, deed] of Object.entries(more.deeds)) addDeed(figures, name, deed);
  for (const [workload, runs] of Object.entries(more.runsOf))
    figures.runsOf[workload] = (figures.runsOf[workload] ?? 0) + runs;
  figures.failures.push(...more.failures);
}

/** Classes that hardly happen in these runs. */
export function rareClasses({ runs, runsWith }: ChainFigures): ChainFaultClass[] {
  return chainFaultClasses.filter((kind) => runsWith[kind] < LEAST_SHARE * runs);
}

/** What a workload hardly does in these runs. */
export function rareDeeds({ runsOf, deeds }: ChainFigures, { name, deeds: wanted = [] }: ChainWorkload): string[] {
  const least = LEAST_SHARE * (runsOf[name] ?? 0);
  return wanted.filter((deed) => (deeds[`${name}: ${deed}`]?.runs ?? 0) <= least);
}

/** The figures for people. */
export function formatChainFigures(figures: ChainFigures): string {
  const { runs, simulatedMs, events, faults, runsWith, failures } = figures;
  const lines = chainFaultClasses.map((kind) => {
    const share = (100 * runsWith[kind]) / Math.max(1, runs);
    return `  ${kind.padEnd(16)} ${String(faults[kind]).padStart(8)}   in ${share.toFixed(0).padStart(3)} % of the seeds`;
  });
  const done = Object.entries(figures.deeds).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, deed] of done) {
    const share = (100 * deed.runs) / Math.max(1, figures.runsOf[name.split(':')[0] ?? ''] ?? 0);
    lines.push(
      `  ${name.padEnd(56)} ${String(deed.times).padStart(8)}   in ${share.toFixed(0).padStart(3)} % of its seeds`,
    );
  }
  return [
    `${runs} seeds, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${events} events`,
    ...lines,
    failures.length === 0 ? 'no invariant was broken' : `${failures.length} seeds broke an invariant`,
  ].join('\n');
}
