import { beforeAll, expect, test } from 'vitest';
import { compileExample, expectHolds, expectNothingLeft, runExample } from './support/runExample.ts';

let program = '';
beforeAll(async () => {
  program = await compileExample('puppet-chain');
}, 60_000);

test('after a confirmed invalidation the client never reads an older value, whatever was cut or killed meanwhile', async () => {
  const run = await runExample(program);
  expectHolds(run);
  expect(run.held.length).toBe(5);
}, 30_000);

test('a client that takes a rejection for a yes reads older values, and the example fails', async () => {
  const run = await runExample(program, '--naive');
  expect(run.code).toBe(1);
  expect(run.failed).toEqual([expect.stringMatching(/never read an older pose: [1-9]\d* of \d+ reads/)]);
  expectNothingLeft(run);
}, 30_000);
