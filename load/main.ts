/**
 * What the library carries on this machine: a server's process, clients' processes, real WebSockets, every option at
 * its default. Prints a table, writes it down, and fails if a limit is broken. Run it with `npm run load`.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Arguments, readArguments, type ScenarioName, USAGE } from './arguments.ts';
import { watchOthers } from './contention.ts';
import { cut } from './cut.ts';
import { writeRun } from './files.ts';
import { greedy } from './greedy.ts';
import { idle } from './idle.ts';
import { describeMachine, openFilesLimit } from './machine.ts';
import { type Conditions, type Figure, type Outcome, percent } from './outcome.ts';
import { reconnects } from './reconnects.ts';
import { restart } from './restart.ts';
import { plainTable } from './table.ts';
import { CLIENT_CORE, canPin, killAll, SERVER_CORE } from './worker.ts';

const scenarios: Record<ScenarioName, (conditions: Conditions) => Promise<Outcome>> = {
  idle,
  cut,
  restart,
  greedy,
  reconnects,
};

/** Files a process has open besides its sockets. */
const OTHER_FILES = 100;
/** Far above what a run takes: whoever hangs is a failure, not a wait. */
const GIVE_UP_MS = 15 * 60_000;
const GIVE_UP_MS_PER_RECONNECT = 25;

function askedFor(): Arguments {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const { sessions, reconnects: times, only, out } = askedFor();
const openFiles = openFilesLimit();
if (openFiles < sessions + OTHER_FILES) {
  console.error(
    `${sessions} sessions need ${sessions + OTHER_FILES} open files per process, and the hard limit is ${openFiles}: ` +
      `raise it (ulimit -Hn, as root) or run with --sessions ${openFiles - OTHER_FILES}`,
  );
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'holdfast-load-'));
// However this process ends, unless it is killed; then the others see the channel close, and end by themselves.
process.on('exit', () => {
  killAll();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
setTimeout(
  () => {
    console.error('the run did not end in time');
    process.exit(1);
  },
  GIVE_UP_MS + times * GIVE_UP_MS_PER_RECONNECT,
).unref();

const pinned = canPin(cpus().length);
const machine = describeMachine(pinned);
const conditions: Conditions = {
  sessions,
  reconnects: times,
  serverCore: pinned ? SERVER_CORE : undefined,
  clientCore: pinned ? CLIENT_CORE : undefined,
  folder,
  say: (line) => console.log(`… ${line}`),
};
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}`);
console.log(pinned ? 'the server on one core, the clients on another' : 'not pinned to cores: no taskset, or one core');
console.log("every option of the library, and Node's listen backlog, at its default");

function contention(scenario: string, share: number | undefined): Figure {
  return {
    scenario,
    name: "what others used of this machine's cores meanwhile",
    measured: share === undefined ? 'unknown' : percent(share),
    limit: '',
  };
}

const run: Outcome = { figures: [], series: {} };
for (const name of only) {
  const others = watchOthers();
  const { figures, series } = await scenarios[name](conditions).catch((error: unknown): Outcome => {
    console.error(error);
    const measured = error instanceof Error ? error.message : String(error);
    return { figures: [{ scenario: name, name: 'runs to its end', measured, limit: '', ok: false }], series: {} };
  });
  run.figures.push(...figures, contention(name, others()));
  Object.assign(run.series, series);
}
console.log(`\n${plainTable(run.figures)}\n`);
if (out === undefined) console.log('not a full run, and no --out: nothing is written');
else {
  const date = new Date().toISOString().slice(0, 10);
  const written = await writeRun(out, { date, machine, sessions, reconnects: times, ...run });
  console.log(`written: ${written.join(', ')}`);
}
const broken = run.figures.filter(({ ok }) => ok === false);
console.log(broken.length === 0 ? 'Every limit holds.' : `${broken.length} limits are broken.`);
process.exit(broken.length === 0 ? 0 : 1);
