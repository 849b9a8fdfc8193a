import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { runChainSeed } from '../../testUtil/sim/chain/chainSeed.ts';
import type { runSeed } from '../../testUtil/sim/run/seed.ts';

/** Of the repository: tests and scripts run there. */
const root = resolve('.');

/** One change to one source of the library. */
export interface Patch {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Text that is there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** What of a simulator runs its seeds. */
type SeedModule = { readonly runSeed: typeof runSeed };
type ChainSeedModule = { readonly runChainSeed: typeof runChainSeed };

/**
 * Bundles the simulator with a library that has a bug, and returns what runs its seeds. The sources have no switch for
 * it: what is tested is what is shipped, but for the patch.
 * @throws if a patch does not fit its file
 */
export async function simulatorWith(name: string, patches: readonly Patch[]): Promise<typeof runSeed> {
  return (await bundled<SeedModule>('testUtil/sim/run/seed.ts', name, patches)).runSeed;
}

/** The same for the simulator of a chain. */
export async function chainSimulatorWith(name: string, patches: readonly Patch[]): Promise<typeof runChainSeed> {
  return (await bundled<ChainSeedModule>('testUtil/sim/chain/chainSeed.ts', name, patches)).runChainSeed;
}

async function bundled<Module>(entry: string, name: string, patches: readonly Patch[]): Promise<Module> {
  const outfile = join(root, 'node_modules/.cache/mutants', `${name}-${process.pid}.mjs`);
  const applied = new Set<Patch>();
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    plugins: [
      {
        name: 'mutant',
        setup(builder) {
          // The router's index reaches it; no simulated program opens one.
          builder.onResolve({ filter: /^#default-websocket$/ }, () => ({
            path: join(root, 'transport/impls/ws/defaultWebSocket.node.ts'),
          }));
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
  const module: Module = await import(pathToFileURL(outfile).href);
  return module;
}
