import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { ChildReport } from './child/everyTransport.ts';
import { everyKindExpected } from './everyKind.ts';
import { bundleChild } from './support/bundle.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs a script in a Node of its own, from the repository's root, and returns what it reports once it has ended. */
async function runNode(flags: readonly string[], script: string): Promise<ChildReport> {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-'], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 20_000,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  child.stdin.end(script);
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the child ended with ${code}: ${errors}`);
  return JSON.parse(output) as ChildReport; // the child's only output
}

const expected = Object.fromEntries(
  ['ws', 'unix', 'memory'].flatMap((transport) =>
    ['json', 'msgpack'].map((codec) => [`${transport} × ${codec}`, everyKindExpected]),
  ),
);

test.each<[how: string, flags: string[], generatesCode: boolean]>([
  ['forbids', ['--disallow-code-generation-from-strings'], false],
  ['allows', [], true],
])('calls of every kind work over every transport and codec where Node %s code made of strings', async (...run) => {
  const [, flags, generatesCode] = run;
  const report = await runNode(flags, await bundleChild('everyTransport'));
  expect(report).toEqual({ generatesCode, outcomes: expected });
});
