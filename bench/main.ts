/**
 * Ours beside plain `ws` and what else there is, in one run on this machine. Prints a table, writes it to `docs/`, and
 * fails if a target is missed. Run it with `npm run bench`.
 */
import { watchOthers } from '../load/contention.ts';
import { describeMachine } from '../load/machine.ts';
import { libraries } from './library.ts';
import { type Effort, measure } from './measuring.ts';
import { coresToUse, endWithChildren } from './processes.ts';
import { type Measured, printRun, writeRun } from './report.ts';
import { installRivals, versionOf } from './rivals/install.ts';
import { rows } from './rows.ts';
import { judge } from './verdict.ts';

const EFFORT: Effort = { repetitions: 5, longRepetitions: 5, ms: 1_000, warmUpMs: 1_500 };
const GIVE_UP_MS = 30 * 60_000;

endWithChildren(GIVE_UP_MS);
installRivals();
const cores = coresToUse();
const others = watchOthers();
const measured: Measured[] = [];
for (const row of rows) {
  console.log(`… ${row.title}`);
  const figures = await measure(row, libraries, EFFORT, cores);
  measured.push({ row, figures, verdict: judge(row, figures) });
}
console.log(`\n${printRun(measured)}\n`);
const written = await writeRun(measured, {
  date: new Date().toISOString().slice(0, 10),
  machine: describeMachine(cores.server !== undefined),
  effort: EFFORT,
  versions: {
    ws: versionOf('ws'),
    'Socket.IO': versionOf('socket.io'),
    tRPC: versionOf('@trpc/server'),
    '@grpc/grpc-js': versionOf('@grpc/grpc-js'),
    capnweb: versionOf('capnweb'),
  },
  others: others(),
});
console.log(`written: ${written.join(', ')}`);
const missed = measured.filter(({ verdict }) => !verdict.ok);
console.log(missed.length === 0 ? 'Every target is met.' : `${missed.length} targets are missed.`);
process.exit(missed.length === 0 ? 0 : 1);
