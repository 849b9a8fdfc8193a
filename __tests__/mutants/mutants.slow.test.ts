import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { allMutants as mutants } from './allMutants.ts';

const run = promisify(execFile);

test('every mutant is caught, by an invariant that holds in the same seed without it', async () => {
  const { stdout } = await run('npm', ['run', '--silent', 'mutants']);
  console.log(stdout);
  expect(stdout).toContain(`${mutants.length} of ${mutants.length} mutants caught within 1000 seeds`);
}, 1_200_000);
