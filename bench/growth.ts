/**
 * What becomes of ours when something grows: messages that are not acknowledged, open calls, sessions, payloads. Prints
 * a table, writes `docs/growth.svg` and `docs/growth.json`, and fails if what is unacknowledged slows messages down. Run
 * it with `npm run bench:growth`.
 */
import { writeFile } from 'node:fs/promises';
import { watchOthers } from '../load/contention.ts';
import { describeMachine, printMachine } from '../load/machine.ts';
import { writePart } from '../load/markedPart.ts';
import { markdownGrid, plainGrid } from '../load/table.ts';
import { plotGrowth } from './growth/panels.ts';
import { LAGS, type Point, type Question, questions, unacknowledgedQuestion } from './growth/questions.ts';
import { coresToUse, endWithChildren } from './processes.ts';
import { digits } from './verdict.ts';

const GIVE_UP_MS = 15 * 60_000;
/** With the most unacknowledged, of what it is with the fewest. */
const LEAST_SHARE = 0.9;

endWithChildren(GIVE_UP_MS);
const cores = coresToUse();
const others = watchOthers();
const answers: { question: Question; points: Point[] }[] = [];
for (const question of questions) {
  console.log(`… ${question.title}`);
  answers.push({ question, points: await question.ask(cores) });
}

const head = ['', 'size', 'measured'];
const lines = answers.flatMap(({ question, points }) =>
  points.map(({ size, values }, i) => [
    i === 0 ? question.title : '',
    `${size.toLocaleString('en')} ${question.size}`,
    Object.entries(values)
      .map(([name, value]) => `${name} ${digits(value)}`)
      .join(', '),
  ]),
);
console.log(`\n${plainGrid(head, lines)}\n`);

const machine = describeMachine(cores.server !== undefined);
const date = new Date().toISOString().slice(0, 10);
const json = {
  date,
  machine,
  others: others(),
  questions: answers.map(({ question: { title, size, unit }, points }) => ({ title, size, unit, points })),
};
await writeFile('docs/growth.json', `${JSON.stringify(json, undefined, 2)}\n`);
await writeFile('docs/growth.svg', plotGrowth(answers));
await writePart('docs/performance.md', 'growth', `${markdownGrid(head, lines)}\n\n${printMachine(machine)}; ${date}.`);

const rates = answers.find(({ question }) => question === unacknowledgedQuestion)?.points ?? [];
const rateAt = (size: number | undefined) =>
  rates.find((point) => point.size === size)?.values['messages/s'] ?? Number.NaN;
const share = rateAt(LAGS.at(-1)) / rateAt(LAGS[0]);
const isKept = share >= LEAST_SHARE;
console.log(
  `with ${LAGS.at(-1)?.toLocaleString('en')} unacknowledged ${(share * 100).toFixed(0)} % of the messages a second with ` +
    `${LAGS[0]}; at least ${LEAST_SHARE * 100} % is asked: ${isKept ? 'ok' : 'MISSED'}`,
);
process.exit(isKept ? 0 : 1);
