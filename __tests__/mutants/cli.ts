/**
 * `npm run mutants [-- --only TEXT] [--chain] [--jobs 2] [--seeds 1000] [--write]` plants every mutant, runs seeds until one catches it, and
 * prints the table; `--write` puts it into docs/reliability.md. Exits with 1 if one survives.
 */
import { fork } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { allMutants } from './allMutants.ts';
import { chainMutants } from './chainMutants.ts';
import { type Hunt, hunt, MOST_SEEDS } from './hunt.ts';
import { type Mutant, mutants } from './mutants.ts';

/** For all seeds of one mutant; whoever takes longer hangs, which is not a catch. */
const LIMIT_MS = 300_000;

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    chain: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
    seeds: { type: 'string', default: String(MOST_SEEDS) },
    hunt: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

function huntInProcess(name: string): Promise<Hunt> {
  return new Promise((resolve) => {
    const child = fork(process.argv[1] ?? '', ['--hunt', name, '--seeds', flags.seeds]);
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    let found: Hunt = { name, crashes: 0, message: `no result within ${LIMIT_MS / 1_000} s` };
    child.once('message', (message) => {
      found = message as Hunt; // our own program's
    });
    child.once('exit', () => {
      clearTimeout(timer);
      resolve(found);
    });
  });
}

const HEADER = '| mutant | seed | invariant | what the oracle said |\n| --- | ---: | --- | --- |';
const PAGE = 'docs/reliability.md';

/** Puts a table where the page has its markers; in the order of the list, whichever was found first. */
function writeTable(name: string, list: readonly Mutant[], hunts: readonly Hunt[]): void {
  const rows = list.flatMap((mutant) => hunts.filter((found) => found.name === mutant.name).map(line));
  if (rows.length < list.length) return; // of a part nothing can be said
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [before = '', rest = ''] = readFileSync(PAGE, 'utf8').split(begin);
  const [, after = ''] = rest.split(end);
  writeFileSync(PAGE, `${before}${begin}\n${[HEADER, ...rows].join('\n')}\n${end}${after}`);
}

function line({ name, seed, invariant = 'none: it survives', message = '', crashes }: Hunt): string {
  const thrown = crashes === 0 ? '' : ` (${crashes} seeds before it threw)`;
  return `| ${name} | ${seed ?? '-'} | ${invariant}${thrown} | ${message.split('\n')[0]} |`;
}

async function huntAll(): Promise<void> {
  const waiting = (flags.chain ? chainMutants : allMutants).filter(({ name }) => name.includes(flags.only));
  const hunts: Hunt[] = [];
  console.log(HEADER);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const found = await huntInProcess(next.name);
      hunts.push(found);
      console.log(line(found));
    }
  };
  await Promise.all(Array.from({ length: Number(flags.jobs) }, work));
  if (flags.write) {
    writeTable('mutants', mutants, hunts);
    writeTable('chain-mutants', chainMutants, hunts);
  }
  const survivors = hunts.filter(({ seed }) => seed === undefined);
  console.log(`\n${hunts.length - survivors.length} of ${hunts.length} mutants caught within ${flags.seeds} seeds`);
  if (survivors.length > 0 || hunts.length === 0) process.exitCode = 1;
}

if (flags.hunt === undefined) await huntAll();
else {
  const mutant = allMutants.find(({ name }) => name === flags.hunt);
  if (mutant === undefined) throw new Error(`there is no mutant '${flags.hunt}'`);
  process.send?.(await hunt(mutant, Number(flags.seeds)));
}
