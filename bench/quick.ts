/**
 * Ours against plain `ws` in about a minute, its build included: prints the ratios with their targets, and fails if one is missed. Needs
 * nothing that the library does not have. Run it with `npm run bench:quick`.
 */
import { plainGrid } from '../load/table.ts';
import { type Effort, measure } from './measuring.ts';
import { coresToUse, endWithChildren } from './processes.ts';
import { rows } from './rows.ts';
import { judge } from './verdict.ts';

/** Many that are short: a slow moment of the machine spoils few of them. */
const EFFORT: Effort = { repetitions: 9, longRepetitions: 3, ms: 80, warmUpMs: 450 };
const GIVE_UP_MS = 120_000;

endWithChildren(GIVE_UP_MS);
const cores = coresToUse();
const lines: string[][] = [];
let missed = 0;
for (const row of rows) {
  if (row.target.value === undefined) continue;
  const { measured, target, ok } = judge(row, await measure(row, ['ws', 'holdfast'], EFFORT, cores));
  lines.push([row.title, measured, target, ok ? 'ok' : 'MISSED']);
  if (!ok) missed += 1;
}
console.log(plainGrid(['', 'measured', 'target', ''], lines));
console.log(missed === 0 ? 'Every target is met.' : `${missed} targets are missed.`);
process.exit(missed === 0 ? 0 : 1);
