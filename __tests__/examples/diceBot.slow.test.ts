import { beforeAll, expect, test } from 'vitest';
import { compileExample, expectHolds, expectNothingLeft, runExample } from './support/runExample.ts';

let program = '';
beforeAll(async () => {
  program = await compileExample('dice-bot');
}, 60_000);

test('dice fall once and are answered once, however often the server delivers, and the roster survives a kick', async () => {
  const run = await runExample(program);
  expectHolds(run);
  expect(run.held.length).toBe(8);
}, 30_000);

test('without the ledger the example finds that dice fell again, and fails', async () => {
  const run = await runExample(program, '--naive');
  expect(run.code).toBe(1);
  expect(run.failed.join('\n')).toMatch(/dice fell once for each: \d+/);
  expect(run.failed.join('\n')).toMatch(/each was answered once: \d+/);
  expectNothingLeft(run);
}, 30_000);
