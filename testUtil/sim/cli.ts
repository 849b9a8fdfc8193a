/**
 * `npm run sim -- --seeds 2000 [--from N] [--jobs 2] [--no-shrink]` runs seeds; `npm run sim -- --seed N [--trace]` one,
 * narrowed by `--classes a,b`, `--faults 1,2`, `--clients N` and `--duration MS`. Exits with 1 if an invariant is broken.
 */
import { formatTrace } from './engine/trace.ts';
import { readSeedFlags, runSeedProgram } from './run/commandLine.ts';
import { faultClasses } from './run/faultClasses.ts';
import { runSeed } from './run/seed.ts';
import { replayCommand, shrink } from './run/shrink.ts';
import { addFigures, addRun, type Failure, type Figures, formatFigures, noFigures, weakness } from './run/summary.ts';

const flags = readSeedFlags(faultClasses);
const options = flags.narrowing;

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

async function report({ seed, invariant, message, time }: Failure): Promise<void> {
  console.log(`\nseed ${seed}, ${time.toFixed(1)} ms: invariant ${invariant}: ${message}`);
  const less = flags.shrinks ? await shrink(seed, invariant, options) : {};
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

await runSeedProgram(
  { none: noFigures, add: addFigures, format: formatFigures, runMany, report, runOne, weakness },
  flags,
);
