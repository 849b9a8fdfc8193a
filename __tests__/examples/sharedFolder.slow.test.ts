import { beforeAll, expect, test } from 'vitest';
import { compileExample, expectHolds, expectNothingLeft, runExample } from './support/runExample.ts';

let program = '';
beforeAll(async () => {
  program = await compileExample('shared-folder');
}, 60_000);

test('two folders see each other within 100 ms, are equal after the server was killed, and send nothing back', async () => {
  const run = await runExample(program);
  expectHolds(run);
  expect(run.held.length).toBe(4);
  expect(run.output).toMatch(/median [\d.]+ ms, worst [\d.]+ ms/);
}, 30_000);

test('clients that do not know their own echo are found out, and the example fails', async () => {
  const run = await runExample(program, '--naive');
  expect(run.code).toBe(1);
  // Changes that are sent back for ever are counted at the end, or keep it from coming.
  expect(run.output).toMatch(
    /✗ each change was sent once, and none was sent back: \d+ changes, \d+ sent|expected to be done within \d+ ms/,
  );
  expectNothingLeft(run);
}, 30_000);
