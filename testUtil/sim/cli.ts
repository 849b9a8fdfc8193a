/**
 * `npm run sim -- --seeds 2000 [--from N] [--jobs 2] [--no-shrink]` runs seeds; `npm run sim -- --seed N [--trace]` one,
 * narrowed by `--classes a,b`, `--faults 1,2`, `--clients N` and `--duration MS`. Exits with 1 if an invariant is broken.
 */
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { formatTrace } from './engine/trace.ts';
import { type FaultClass, faultClasses } from './run/faultClasses.ts';
import { runSeed, type SeedOptions } from './run/seed.ts';
import { replayCommand, shrink } from './run/shrink.ts';
import { addFigures, addRun, type Failure, type Figures, formatFigures, noFigures, weakness } from './run/summary.ts';

const MAX_PRINTED = 5;

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
    classes: { type: 'string' },
    faults: { type: 'string' },
    clients: { type: 'string' },
    duration: { type: 'string' },
  },
});

function list(text: string | undefined): string[] | undefined {
  return text === undefined ? undefined : text.split(',').filter((item) => item !== '' && item !== 'none');
}

function isClass(name: string): name is FaultClass {
  return (faultClasses as readonly string[]).includes(name); // widened to look any name up
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

const options: SeedOptions = {
  kinds: list(flags.classes)?.filter(isClass),
  faults: list(flags.faults)?.map(Number),
  clients: numberOf(flags.clients),
  durationMs: numberOf(flags.duration),
};

/** Milliseconds of a core that this process has had: other processes must not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function runMany(from: number, count: number): Promise<Figures> {
  const figures = noFigures();
  for (let seed = from; seed < from + count; seed++) {
    const startedAt = cpuMs();
    const outcome = await runSeed(seed, options);
    addRun(figures, outcome, cpuMs() - startedAt);
    if (!outcome.ok)
      console.error(`seed ${seed}: invariant ${outcome.violation.invariant}: ${outcome.violation.message}`);
  }
  return figures;
}

/** Shares the seeds among processes of this same program. */
function runInProcesses(from: number, count: number, jobs: number): Promise<Figures[]> {
  const share = Math.ceil(count / jobs);
  return Promise.all(
    Array.from({ length: jobs }, (_, job) => {
      const first = from + job * share;
      const child = fork(process.argv[1] ?? '', [
        '--from',
        String(first),
        '--seeds',
        String(Math.min(share, from + count - first)),
      ]);
      return new Promise<Figures>((resolve, reject) => {
        child.once('message', (figures) => resolve(figures as Figures)); // our own program's
        child.once('exit', (code) => reject(new Error(`a process ended with ${code} before it was done`)));
      });
    }),
  );
}

async function report({ seed, invariant, message, time }: Failure): Promise<void> {
  console.log(`\nseed ${seed}, ${time.toFixed(1)} ms: invariant ${invariant}: ${message}`);
  const less = flags['no-shrink'] ? {} : await shrink(seed, invariant, options);
  console.log(`  ${replayCommand(seed, less)}`);
}

async function runOne(seed: number): Promise<void> {
  const outcome = await runSeed(seed, { ...options, trace: flags.trace });
  if (flags.trace) console.log(formatTrace(outcome.trace));
  const { workload, clients, durationMs, options: transport } = outcome.plan;
  console.log(`seed ${seed}: ${workload}, ${clients} clients, ${durationMs} ms of faults, hash ${outcome.hash}`);
  console.log(JSON.stringify(transport));
  if (outcome.ok) return console.log('no invariant was broken');
  const { invariant, message, time } = outcome.violation;
  if (!flags.trace) await report({ seed, invariant, message, time });
  process.exitCode = 1;
}

async function runAll(): Promise<void> {
  const from = numberOf(flags.from) ?? Math.floor(Date.now() / 1_000) * 1_000;
  const count = Number(flags.seeds);
  const jobs = Math.min(Number(flags.jobs), count);
  if (process.send !== undefined) return void process.send(await runMany(from, count));
  console.log(`seeds ${from} to ${from + count - 1}`);
  const figures = noFigures();
  for (const part of jobs > 1 ? await runInProcesses(from, count, jobs) : [await runMany(from, count)])
    addFigures(figures, part);
  console.log(formatFigures(figures));
  for (const failure of figures.failures.slice(0, MAX_PRINTED)) await report(failure);
  const weak = weakness(figures);
  if (weak !== undefined) console.log(weak);
  if (figures.failures.length > 0 || weak !== undefined) process.exitCode = 1;
}

await (flags.seed === undefined ? runAll() : runOne(Number(flags.seed)));
