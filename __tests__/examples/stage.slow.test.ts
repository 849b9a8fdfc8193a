import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { compileExample, isAlive, pidsIn } from './support/runExample.ts';

let program = '';
/** Whoever is killed cannot remove its folder. */
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stage-test-'));
  program = await compileExample('dice-bot', 'stage');
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Starts the example, and ends it as soon as its processes are there. */
async function endedInTheMiddle(signal: NodeJS.Signals): Promise<{ code: number | null; pids: number[] }> {
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, TMPDIR: folder },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.includes('knows who is in the tavern')) child.kill(signal);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, pids: pidsIn(output) };
}

test('an example that is interrupted ends its processes, and says by its exit code that it has shown nothing', async () => {
  const { code, pids } = await endedInTheMiddle('SIGTERM');
  expect(code).toBe(1);
  expect(pids.length).toBe(2);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
}, 30_000);

test('the processes of an example that is killed end by themselves', async () => {
  const { code, pids } = await endedInTheMiddle('SIGKILL');
  expect(code).toBe(null);
  expect(pids.length).toBe(2);
  await vi.waitUntil(() => !pids.some(isAlive), { timeout: 10_000 });
}, 30_000);
