/**
 * `npm run sim:chain -- --seeds 500 [--from N] [--jobs 2] [--workload NAME] [--no-shrink]` runs seeds of the chain of three;
 * `npm run sim:chain -- --seed N [--trace]` one, narrowed by `--classes a,b`, `--faults 1,2`, `--clients N` (leaves) and
 * `--duration MS`. Exits with 1 if an invariant is broken.
 */
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { formatTrace } from '../engine/trace.ts';
import { type ChainFaultClass, chainFaultClasses } from './chainFaultClasses.ts';
import {
  addChainFigures,
  addChainRun,
  type ChainFailure,
  type ChainFigures,
  formatChainFigures,
  noChainFigures,
} from './chainFigures.ts';
import { type ChainSeedOptions, replayChainCommand, runChainSeed, shrinkChain } from './chainSeed.ts';

const MAX_PRINTED = 5;

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    seed: { type: 'string' },
    workload: { type: 'string' },
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

function isClass(name: string): name is ChainFaultClass {
  return (chainFaultClasses as readonly string[]).includes(name); // widened to look any name up
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

const options: ChainSeedOptions = {
  kinds: list(flags.classes)?.filter(isClass),
  faults: list(flags.faults)?.map(Number),
  clients: numberOf(flags.clients),
  durationMs: numberOf(flags.duration),
  workload: flags.workload,
};

async function runMany(from: number, count: number): Promise<ChainFigures> {
  const figures = noChainFigures();
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runChainSeed(seed, options);
    addChainRun(figures, outcome);
    const { violation, workload } = outcome;
    if (violation !== undefined)
      console.error(`seed ${seed} (${workload}): invariant ${violation.invariant}: ${violation.message}`);
  }
  return figures;
}

/** Shares the seeds among processes of this same program. */
function runInProcesses(from: number, count: number, jobs: number): Promise<ChainFigures[]> {
  const share = Math.ceil(count / jobs);
  return Promise.all(
    Array.from({ length: jobs }, (_, job) => {
      const first = from + job * share;
      const child = fork(process.argv[1] ?? '', [
        ...['--from', String(first), '--seeds', String(Math.min(share, from + count - first))],
        ...(flags.workload === undefined ? [] : ['--workload', flags.workload]),
      ]);
      return new Promise<ChainFigures>((resolve, reject) => {
        child.once('message', (figures) => resolve(figures as ChainFigures)); // our own program's
        child.once('exit', (code) => reject(new Error(`a process ended with ${code} before it was done`)));
      });
    }),
  );
}

async function report({ seed, workload, invariant, message, time }: ChainFailure): Promise<void> {
  console.log(`\nseed ${seed} (${workload}), ${time.toFixed(1)} ms: invariant ${invariant}: ${message}`);
  const less = flags['no-shrink'] ? {} : await shrinkChain(seed, invariant, { ...options, workload });
  console.log(`  ${replayChainCommand(seed, workload, less)}`);
}

async function runOne(seed: number): Promise<void> {
  const { trace, workload, plan, hash, violation } = await runChainSeed(seed, { ...options, trace: flags.trace });
  if (flags.trace) console.log(formatTrace(trace));
  console.log(`seed ${seed}: ${workload}, ${plan.clients} leaves, ${plan.durationMs} ms of faults, hash ${hash}`);
  console.log(JSON.stringify(plan.options));
  if (violation === undefined) return console.log('no invariant was broken');
  process.exitCode = 1;
  if (!flags.trace) await report({ seed, workload, ...violation });
}

async function runAll(): Promise<void> {
  const from = numberOf(flags.from) ?? Math.floor(Date.now() / 1_000) * 1_000;
  const count = Number(flags.seeds);
  const jobs = Math.min(Number(flags.jobs), count);
  if (process.send !== undefined) return void process.send(await runMany(from, count));
  console.log(`seeds ${from} to ${from + count - 1}`);
  const figures = noChainFigures();
  for (const part of jobs > 1 ? await runInProcesses(from, count, jobs) : [await runMany(from, count)])
    addChainFigures(figures, part);
  console.log(formatChainFigures(figures));
  for (const failure of figures.failures.slice(0, MAX_PRINTED)) await report(failure);
  if (figures.failures.length > 0) process.exitCode = 1;
}

await (flags.seed === undefined ? runAll() : runOne(Number(flags.seed)));
