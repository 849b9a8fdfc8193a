import { isBuiltin } from 'node:module';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { bundlePage, externalImports } from './support/bundle.ts';

/** Far above what the pages' scripts take; a mistake in a package's `sideEffects` costs more. */
const MAX_GZIPPED_BYTES = 50_000;

/** What only a server needs: schemas, services, and whatever judges handshakes and requests. */
const serversRouter =
  /^dist\/router\/(server.*|schema|errorSchemas|procedures|services|routes|openCall|handlerRun|middleware|context|serialize)\.js$/;
const serversTransport = /^dist\/transport\/(server|resume|validation|request)\.js$/;

function isServers(path: string): boolean {
  return path.includes('node_modules/@sinclair/') || serversRouter.test(path) || serversTransport.test(path);
}

describe('the bundle of a page', () => {
  test.each(['client', 'connect'] as const)('`%s` holds nothing that it does not use', async (name) => {
    const bundle = await bundlePage(name);
    const { metafile, contributing, code } = bundle;
    expect(externalImports(bundle)).toEqual([]);
    const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports.map(({ original }) => original));
    expect(imported.filter((specifier) => specifier !== undefined && isBuiltin(specifier))).toEqual([]);
    expect(Object.keys(metafile.inputs).filter((path) => /node_modules\/ws\//.test(path))).toEqual([]);
    expect(contributing.filter((path) => path.startsWith('dist/')).length).toBeGreaterThan(20);
    expect(contributing.filter(isServers)).toEqual([]);
    const gzipped = gzipSync(code, { level: 9 }).length;
    console.log(`the page \`${name}\`: ${code.length} bytes minified, ${gzipped} gzipped`);
    expect(gzipped).toBeLessThan(MAX_GZIPPED_BYTES);
  });

  test('of a server holds what those of clients must not, so that the check above can fail', async () => {
    const { contributing } = await bundlePage('server');
    expect(contributing.filter(isServers)).toEqual(
      expect.arrayContaining([
        'dist/router/server.js',
        'dist/transport/server.js',
        expect.stringContaining('node_modules/@sinclair/typebox/'),
      ]),
    );
  });

  test('takes the WebSocket of the platform, not that of Node', async () => {
    const { metafile } = await bundlePage('connect');
    const inputs = Object.keys(metafile.inputs);
    expect(inputs).toContain('dist/transport/impls/ws/defaultWebSocket.browser.js');
    expect(inputs).not.toContain('dist/transport/impls/ws/defaultWebSocket.node.js');
  });
});
