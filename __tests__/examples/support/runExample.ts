import { execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');

/**
 * Compiles the examples as their commands do, into a folder of the caller's own: test files run beside each other.
 * @returns the path of the example's program
 */
export async function compileExample(name: string, folder = name): Promise<string> {
  const outDir = join('.examples', 'tests', folder);
  rmSync(join(root, outDir), { recursive: true, force: true });
  await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.examples.json', '--outDir', outDir], { cwd: root });
  return join(root, outDir, name, 'main.js');
}

/** What became of a run. */
export interface Run {
  readonly code: number | null;
  readonly output: string;
  /** The claims that held, and those that did not. */
  readonly held: string[];
  readonly failed: string[];
  /** Of the processes that it started. */
  readonly pids: number[];
}

export function pidsIn(output: string): number[] {
  return [...output.matchAll(/starts \(process (\d+)\)/g)].map(([, pid]) => Number(pid));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs an example to its end. */
export async function runExample(program: string, ...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const claims = (mark: string) => output.split('\n').filter((line) => line.startsWith(`  ${mark} `));
  return { code, output, held: claims('✓'), failed: claims('✗'), pids: pidsIn(output) };
}

/** Everything it shows holds, and none of its processes is left. */
export function expectHolds(run: Run): void {
  expect(run.failed, run.output).toEqual([]);
  expect(run.code, run.output).toBe(0);
  expect(run.held.length).toBeGreaterThan(0);
  expectNothingLeft(run);
}

export function expectNothingLeft(run: Run): void {
  expect(run.pids.length).toBeGreaterThan(0);
  expect(run.pids.filter(isAlive)).toEqual([]);
}
