import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Narrowing } from './narrow.ts';

const MAX_PRINTED = 5;

/** What was asked for on the command line. */
export interface SeedFlags<Kind extends string> {
  /** How many, from where on, in how many processes. */
  readonly seeds: number;
  readonly from: number | undefined;
  readonly jobs: number;
  /** Only this one. */
  readonly seed: number | undefined;
  readonly workload: string | undefined;
  readonly trace: boolean;
  readonly shrinks: boolean;
  readonly narrowing: Narrowing<Kind>;
}

/** What a simulator does with seeds. */
export interface SeedProgram<Failure, Figures extends { readonly failures: readonly Failure[] }> {
  none(): Figures;
  add(sum: Figures, part: Figures): void;
  format(figures: Figures): string;
  runMany(from: number, count: number): Promise<Figures>;
  /** Prints a failure, and what of it is enough to have it again. */
  report(failure: Failure): Promise<void>;
  runOne(seed: number): Promise<void>;
  /** Says why the runs show too little, if they do. */
  weakness?(figures: Figures): string | undefined;
}

function list(text: string | undefined): string[] | undefined {
  return text === undefined ? undefined : text.split(',').filter((item) => item !== '' && item !== 'none');
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/**
 * Reads the command line.
 * @param hasWorkloads one of several may be asked for
 */
export function readSeedFlags<Kind extends string>(classes: readonly Kind[], hasWorkloads = false): SeedFlags<Kind> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      seed: { type: 'string' },
      ...(hasWorkloads && { workload: { type: 'string' as const } }),
      trace: { type: 'boolean', default: false },
      'no-shrink': { type: 'boolean', default: false },
      classes: { type: 'string' },
      faults: { type: 'string' },
      clients: { type: 'string' },
      duration: { type: 'string' },
    },
  });
  const named = list(values.classes);
  return {
    seeds: Number(values.seeds),
    from: numberOf(values.from),
    jobs: Number(values.jobs),
    seed: numberOf(values.seed),
    workload: typeof values.workload === 'string' ? values.workload : undefined,
    trace: values.trace,
    shrinks: !values['no-shrink'],
    narrowing: {
      kinds: named === undefined ? undefined : classes.filter((kind) => named.includes(kind)),
      faults: list(values.faults)?.map(Number),
      clients: numberOf(values.clients),
      durationMs: numberOf(values.duration),
    },
  };
}

/** Shares the seeds among processes of this same program. */
function runInProcesses<Figures>(
  from: number,
  count: number,
  { jobs, workload }: SeedFlags<string>,
): Promise<Figures[]> {
  const share = Math.ceil(count / jobs);
  const shared = Array.from({ length: Math.ceil(count / share) }, (_, job) => from + job * share);
  return Promise.all(
    shared.map((first) => {
      const child = fork(process.argv[1] ?? '', [
        ...['--from', String(first), '--seeds', String(Math.min(share, from + count - first))],
        ...(workload === undefined ? [] : ['--workload', workload]),
      ]);
      return new Promise<Figures>((resolve, reject) => {
        child.once('message', (figures) => resolve(figures as Figures)); // our own program's
        child.once('exit', (code) => reject(new Error(`a process ended with ${code} before it was done`)));
      });
    }),
  );
}

/** Runs what was asked for; `process.exitCode` is 1 if an invariant was broken, or the runs show too little. */
export async function runSeedProgram<Failure, Figures extends { readonly failures: readonly Failure[] }>(
  program: SeedProgram<Failure, Figures>,
  flags: SeedFlags<string>,
): Promise<void> {
  if (flags.seed !== undefined) return program.runOne(flags.seed);
  const from = flags.from ?? Math.floor(Date.now() / 1_000) * 1_000;
  if (process.send !== undefined) return void process.send(await program.runMany(from, flags.seeds));
  console.log(`seeds ${from} to ${from + flags.seeds - 1}`);
  const figures = program.none();
  const isShared = Math.min(flags.jobs, flags.seeds) > 1;
  const parts = isShared
    ? await runInProcesses<Figures>(from, flags.seeds, flags)
    : [await program.runMany(from, flags.seeds)];
  for (const part of parts) program.add(figures, part);
  console.log(program.format(figures));
  for (const failure of figures.failures.slice(0, MAX_PRINTED)) await program.report(failure);
  const weak = program.weakness?.(figures);
  if (weak !== undefined) console.log(weak);
  if (figures.failures.length > 0 || weak !== undefined) process.exitCode = 1;
}
