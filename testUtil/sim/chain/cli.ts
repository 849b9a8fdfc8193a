/**
 * `npm run sim:chain -- --seeds 500 [--from N] [--jobs 2] [--workload NAME] [--no-shrink]` runs seeds of the chain of three;
 * `npm run sim:chain -- --seed N [--trace]` one, narrowed by `--classes a,b`, `--faults 1,2`, `--clients N` (leaves) and
 * `--duration MS`. Exits with 1 if an invariant is broken.
 */
import { formatTrace } from '../engine/trace.ts';
import { readSeedFlags, runSeedProgram } from '../run/commandLine.ts';
import { chainFaultClasses } from './chainFaultClasses.ts';
import {
  addChainFigures,
  addChainRun,
  type ChainFailure,
  type ChainFigures,
  formatChainFigures,
  noChainFigures,
} from './chainFigures.ts';
import { type ChainSeedOptions, replayChainCommand, runChainSeed, shrinkChain } from './chainSeed.ts';

const flags = readSeedFlags(chainFaultClasses, true);
const options: ChainSeedOptions = { ...flags.narrowing, workload: flags.workload };

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

async function report({ seed, workload, invariant, message, time }: ChainFailure): Promise<void> {
  console.log(`\nseed ${seed} (${workload}), ${time.toFixed(1)} ms: invariant ${invariant}: ${message}`);
  const less = flags.shrinks ? await shrinkChain(seed, invariant, { ...options, workload }) : {};
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

await runSeedProgram(
  { none: noChainFigures, add: addChainFigures, format: formatChainFigures, runMany, report, runOne },
  flags,
);
