import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { importsOf, type Sources } from './sources.ts';

/**
 * Who may import whom:
 *
 *   codec ← transport ← router ← watch ← consume
 *                                      ← cache
 *
 * An arrow is "is imported by", also across what lies between. The optional parts see of the router what everybody sees: its
 * index. `testUtil` may import anything; nothing imports it.
 */
const mayImport: Record<string, readonly string[]> = {
  codec: ['codec'],
  transport: ['transport', 'codec'],
  router: ['router', 'transport'],
  watch: ['watch', 'router'],
  consume: ['consume', 'watch', 'router'],
  cache: ['cache', 'watch', 'router'],
  logging: ['logging', 'transport'],
  testUtil: ['testUtil', 'codec', 'transport', 'router', 'watch', 'consume', 'cache', 'logging', 'index.ts'],
  'index.ts': ['router', 'transport'],
};

const optionalParts = ['watch', 'consume', 'cache'];

/** What `#default-websocket` stands for in package.json. */
const defaultWebSocket = {
  browser: 'transport/impls/ws/defaultWebSocket.browser.ts',
  node: 'transport/impls/ws/defaultWebSocket.node.ts',
};

/** The folder that a path lies in, or the file's name for the root's own. */
function layerOf(path: string): string {
  return path.split('/', 1)[0] ?? path;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The files that a specifier means, or undefined for one that is not ours. */
function targetsOf(from: string, specifier: string): string[] | undefined {
  if (specifier.startsWith('.')) return [posix.join(posix.dirname(from), specifier)];
  return specifier === '#default-websocket' ? Object.values(defaultWebSocket) : undefined;
}

function faultOfOwn(from: string, target: string, sources: Sources): string | undefined {
  if (!target.endsWith('.ts')) return 'names no .ts file';
  if (!sources.has(target)) return 'names a file that does not exist';
  const layer = layerOf(from);
  if (!mayImport[layer]?.includes(layerOf(target)))
    return `is an arrow ${layerOf(target)} ← ${layer}, which is not in the picture`;
  const folder = posix.dirname(target);
  if (optionalParts.includes(layer) && folder === 'router' && posix.basename(target) !== 'index.ts') {
    return "is not the router's public API: import its index";
  }
  if (posix.basename(target) === 'index.ts' && folder !== '.' && from.startsWith(`${folder}/`)) {
    return 'is the index of its own folder: import the file';
  }
  return undefined;
}

function faultOfForeign(from: string, specifier: string, dependencies: readonly string[]): string | undefined {
  if (specifier === '<computed>') return 'is computed, so nobody can check it';
  if (packageOf(specifier) === 'holdfast') return 'is the package itself: import the file';
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? undefined : `is written node:${specifier}`;
  // What is only for tests may use what is only for development.
  if (layerOf(from) === 'testUtil') return undefined;
  return dependencies.includes(packageOf(specifier)) ? undefined : 'is no dependency';
}

/** Every import that breaks a rule, as `file:line: specifier, what is wrong`. */
export function wrongImports(sources: Sources, dependencies: readonly string[]): string[] {
  const faults: string[] = [];
  for (const [path, text] of sources) {
    if (mayImport[layerOf(path)] === undefined) faults.push(`${path}:1: the file is in no layer`);
    for (const { specifier, line } of importsOf(path, text)) {
      const targets = targetsOf(path, specifier);
      const found = targets
        ? targets.map((target) => faultOfOwn(path, target, sources))
        : [faultOfForeign(path, specifier, dependencies)];
      for (const fault of found) if (fault !== undefined) faults.push(`${path}:${line}: ${specifier} ${fault}`);
    }
  }
  return faults;
}

/** What a bundle for browsers of an entry point would hold. */
export interface Reach {
  files: Set<string>;
  /** As `file:line: specifier`. */
  foreign: string[];
}

/** Follows every import of an entry point, those of types too, as a browser's bundler resolves them. */
export function reachOf(entry: string, sources: Sources): Reach {
  const reach: Reach = { files: new Set(), foreign: [] };
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reach.files.has(path)) continue;
    reach.files.add(path);
    const text = sources.get(path);
    if (text === undefined) throw new Error(`${path} does not exist`);
    for (const { specifier, line } of importsOf(path, text)) {
      if (specifier === '#default-websocket') waiting.push(defaultWebSocket.browser);
      else if (specifier.startsWith('.')) waiting.push(posix.join(posix.dirname(path), specifier));
      else reach.foreign.push(`${path}:${line}: ${specifier}`);
    }
  }
  return reach;
}

/** The imports in the reach of an entry point that no browser has: Node's modules and `ws`. */
export function nodeOnly(entry: string, sources: Sources): string[] {
  return reachOf(entry, sources).foreign.filter((line) => {
    const specifier = line.slice(line.lastIndexOf(' ') + 1);
    return isBuiltin(specifier) || packageOf(specifier) === 'ws';
  });
}

/** The files of watch, consume and cache in the reach of an entry point. */
export function optionalIn(entry: string, sources: Sources): string[] {
  return [...reachOf(entry, sources).files].filter((path) => optionalParts.includes(layerOf(path)));
}
