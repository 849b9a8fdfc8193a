import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { runSeed } from '../../../testUtil/sim/run/seed.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** One change to one source of the library. */
export interface Patch {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Text that is there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Bundles the simulator with a library that has a bug, and returns what runs its seeds. */
export async function simulatorWith(name: string, patches: readonly Patch[]): Promise<typeof runSeed> {
  const outfile = join(root, 'node_modules/.cache/simMutants', `${name}-${process.pid}.mjs`);
  const applied = new Set<Patch>();
  await build({
    entryPoints: [join(root, 'testUtil/sim/run/seed.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [
      {
        name: 'mutant',
        setup(builder) {
          builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            let contents = await readFile(path, 'utf8');
            for (const patch of patches) {
              if (relative(root, path) !== patch.file || contents.split(patch.find).length !== 2) continue;
              contents = contents.replace(patch.find, () => patch.replace);
              applied.add(patch);
            }
            return { contents, loader: 'ts' };
          });
        },
      },
    ],
  });
  const missing = patches.find((patch) => !applied.has(patch));
  if (missing !== undefined) throw new Error(`${missing.file} does not have exactly one '${missing.find}'`);
  const bundle: { runSeed: typeof runSeed } = await import(pathToFileURL(outfile).href);
  return bundle.runSeed;
}
