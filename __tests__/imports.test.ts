import { describe, expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { nodeOnly, optionalIn, reachOf, wrongImports } from './support/importGraph.ts';
import { importsOf, publishedSources, type Sources } from './support/sources.ts';

const dependencies = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
const sources = publishedSources();

/** The source of every entry point of package.json, by its subpath. */
const entries = new Map(
  Object.entries(manifest.exports).flatMap(([subpath, target]) =>
    typeof target === 'string' ? [] : [[subpath, target.default.replace('./dist/', '').replace(/\.js$/, '.ts')]],
  ),
);
const forBrowsers = [
  '.',
  './transport',
  './transport/ws/client',
  './transport/memory',
  './codec',
  './logging',
  './watch',
  './consume',
  './cache',
];

describe('the sources', () => {
  test('import along the arrows of the picture only, by file, and no undeclared package', () => {
    expect(sources.size).toBeGreaterThan(20);
    expect(wrongImports(sources, dependencies)).toEqual([]);
  });

  test.each([...entries])('%s has a source', (_subpath, source) => {
    expect([...sources.keys()]).toContain(source);
  });

  test.each(forBrowsers)('%s reaches nothing that only Node has', (subpath) => {
    expect(nodeOnly(entries.get(subpath) ?? subpath, sources)).toEqual([]);
  });

  const core = [...entries].filter(([subpath]) => !/^\.\/(watch|consume|cache|testing)/.test(subpath));
  test.each(core)('%s holds no line of watch, consume or cache', (_subpath, source) => {
    expect(optionalIn(source, sources)).toEqual([]);
  });
});

describe('the check', () => {
  const graph = (files: Record<string, string>): Sources => new Map(Object.entries(files));

  test.each<[string, string]>([
    ["import { a } from './b.ts';", './b.ts'],
    ["import type { A } from './b.ts';", './b.ts'],
    ["import { type A } from './b.ts';", './b.ts'],
    ["import './b.ts';", './b.ts'],
    ["import b = require('./b.ts');", './b.ts'],
    ["export { a } from './b.ts';", './b.ts'],
    ["export type { A } from './b.ts';", './b.ts'],
    ["export * from './b.ts';", './b.ts'],
    ["export * as b from './b.ts';", './b.ts'],
    ["const b = await import('./b.ts');", './b.ts'],
    ["function f() { return () => import('./b.ts'); }", './b.ts'],
    ["const b = require('./b.ts');", './b.ts'],
    ["type A = import('./b.ts').A;", './b.ts'],
    ["let x: typeof import('./b.ts');", './b.ts'],
    ["interface I { a: Promise<import('./b.ts').A[]> }", './b.ts'],
    ['import(`./b.ts`);', './b.ts'],
    ['import(name);', '<computed>'],
  ])('sees %s', (text, specifier) => {
    expect(importsOf('codec/a.ts', `\n${text}`)).toEqual([{ specifier, line: 2 }]);
  });

  test('does not take comments and strings for imports', () => {
    expect(
      importsOf('codec/a.ts', "// import './b.ts'\nconst s = \"import './b.ts'\"; /** {@link import('./b.ts')} */"),
    ).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['codec/a.ts', '../transport/b.ts', 'transport ← codec'],
    ['codec/a.ts', '../testUtil/b.ts', 'testUtil ← codec'],
    ['transport/a.ts', '../router/b.ts', 'router ← transport'],
    ['transport/impls/ws/client.ts', '../../../router/b.ts', 'router ← transport'],
    ['transport/a.ts', '../index.ts', 'index.ts ← transport'],
    ['router/a.ts', '../codec/b.ts', 'codec ← router'],
    ['router/a.ts', '../watch/b.ts', 'watch ← router'],
    ['router/a.ts', '../testUtil/b.ts', 'testUtil ← router'],
    ['watch/a.ts', '../transport/b.ts', 'transport ← watch'],
    ['cache/a.ts', '../consume/b.ts', 'consume ← cache'],
    ['consume/a.ts', '../cache/b.ts', 'cache ← consume'],
    ['watch/a.ts', '../consume/b.ts', 'consume ← watch'],
    ['watch/a.ts', '../router/b.ts', "not the router's public API"],
    ['index.ts', './watch/b.ts', 'watch ← index.ts'],
    ['codec/a.ts', './index.ts', 'index of its own folder'],
    ['transport/session/a.ts', '../index.ts', 'index of its own folder'],
    ['codec/a.ts', './c.ts', 'does not exist'],
    ['codec/a.ts', './b.js', 'no .ts file'],
    ['codec/a.ts', './b', 'no .ts file'],
    ['codec/a.ts', 'lodash', 'no dependency'],
    ['codec/a.ts', '@scope/name/path', 'no dependency'],
    ['codec/a.ts', 'fs', 'written node:fs'],
    ['codec/a.ts', 'holdfast/codec', 'the package itself'],
    ['utils/a.ts', './b.ts', 'in no layer'],
  ])('refuses that %s imports %s', (path, specifier, fault) => {
    const folders = [
      'codec',
      'transport',
      'transport/session',
      'router',
      'watch',
      'consume',
      'cache',
      'testUtil',
      'utils',
    ];
    const files = Object.fromEntries(
      folders.flatMap((folder) => [
        [`${folder}/b.ts`, ''],
        [`${folder}/index.ts`, ''],
      ]),
    );
    const faults = wrongImports(graph({ ...files, 'index.ts': '', [path]: `import '${specifier}';` }), dependencies);
    expect(faults.join()).toContain(fault);
  });

  test('lets pass what the picture has', () => {
    const allowed = graph({
      'codec/a.ts': "import 'msgpackr/pack';",
      'codec/index.ts': "export { a } from './a.ts';",
      'transport/a.ts': "import { a } from '../codec/index.ts'; import 'node:net'; import { b } from './session/b.ts';",
      'transport/session/b.ts': "import type { A } from '../a.ts'; import '@sinclair/typebox/value';",
      'router/a.ts': "import '../transport/a.ts';",
      'router/index.ts': "export * from './a.ts';",
      'watch/a.ts': "import '../router/index.ts';",
      'consume/a.ts': "import '../watch/a.ts'; import '../router/index.ts';",
      'cache/a.ts': "import '../watch/a.ts'; import '../router/index.ts';",
      'testUtil/a.ts': "import '../cache/a.ts'; import '../codec/index.ts'; import 'vitest';",
      'index.ts': "export * from './router/a.ts';",
    });
    expect(wrongImports(allowed, dependencies)).toEqual([]);
  });

  const reaching = graph({
    'index.ts': "export { a } from './router/a.ts';",
    'router/a.ts': "import { open } from '#default-websocket'; import type { B } from '../transport/b.ts';",
    'transport/b.ts':
      "import type { Socket } from 'ws'; type N = import('node:net').Socket; export * from '../watch/c.ts';",
    'transport/impls/ws/defaultWebSocket.browser.ts': 'export const open = 1;',
    'transport/impls/ws/defaultWebSocket.node.ts': "import 'ws';",
    'watch/c.ts': '',
  });

  test('finds through any number of files, imports of types too, what only Node has', () => {
    expect(nodeOnly('index.ts', reaching)).toEqual(['transport/b.ts:1: ws', 'transport/b.ts:1: node:net']);
    expect(optionalIn('index.ts', reaching)).toEqual(['watch/c.ts']);
  });

  test('follows the default WebSocket as a browser does', () => {
    expect([...reachOf('index.ts', reaching).files]).toContain('transport/impls/ws/defaultWebSocket.browser.ts');
    expect([...reachOf('index.ts', reaching).files]).not.toContain('transport/impls/ws/defaultWebSocket.node.ts');
  });

  test('an entry point that does not exist is an error', () => {
    expect(() => nodeOnly('transport/none.ts', reaching)).toThrow('does not exist');
  });
});
