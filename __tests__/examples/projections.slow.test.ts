import { beforeAll, expect, test } from 'vitest';
import { compileExample, expectHolds, expectNothingLeft, runExample } from './support/runExample.ts';

let program = '';
beforeAll(async () => {
  program = await compileExample('projections');
}, 60_000);

test('four projections say what the log says, after a failure, retries, a pause, a crash and a rebuild', async () => {
  const run = await runExample(program);
  expectHolds(run);
  expect(run.held.length).toBe(12);
}, 30_000);

test('a projection that was wrong and is not rebuilt is found, and the example fails', async () => {
  const run = await runExample(program, '--naive');
  expect(run.code).toBe(1);
  expect(run.failed).toEqual([expect.stringMatching(/^ {2}✗ loyalty is what the log says: /)]);
  expectNothingLeft(run);
}, 30_000);
