import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { contributing } from '../../support/leftInPage.ts';

/** The pages there are; each is the file of that name in `pages/`. */
export const pageNames = ['client', 'connect', 'server', 'generate'] as const;
/** One of {@link pageNames}. */
export type PageName = (typeof pageNames)[number];

/** A script as a bundler makes it of what an application has installed: the built package. */
export interface Bundle {
  code: Uint8Array<ArrayBuffer>;
  metafile: Metafile;
  /** Files of which something is left in the bundle, from the repository's root. */
  contributing: string[];
}

const root = fileURLToPath(new URL('../../../', import.meta.url));

function assertBuilt(): void {
  if (!existsSync(new URL('../../../dist/index.js', import.meta.url)))
    throw new Error('expected the built package in dist/: run `npm run build` first, or `npm test`, which does');
}

async function bundle(name: PageName): Promise<Bundle> {
  assertBuilt();
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [fileURLToPath(new URL(`../pages/${name}.ts`, import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    minify: true,
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  // esbuild's bytes are a view of memory that it keeps.
  const code = new Uint8Array(outputFiles[0]?.contents ?? []);
  return { code, metafile, contributing: contributing(metafile) };
}

const bundles = new Map<PageName, Promise<Bundle>>();

/** The script of a page for browsers, made once. */
export function bundlePage(name: PageName): Promise<Bundle> {
  let made = bundles.get(name);
  if (made === undefined) {
    made = bundle(name);
    bundles.set(name, made);
  }
  return made;
}

/** A script for Node that imports the built package and everything else that is installed as it stands. */
export async function bundleChild(name: string): Promise<string> {
  assertBuilt();
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [fileURLToPath(new URL(`../child/${name}.ts`, import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}

/** Every module that the bundle's sources import and that is none of its files. */
export function externalImports({ metafile }: Bundle): string[] {
  const all = [...Object.values(metafile.inputs), ...Object.values(metafile.outputs)];
  return all.flatMap(({ imports }) => imports.filter(({ external }) => external === true).map(({ path }) => path));
}
