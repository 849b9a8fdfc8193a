import { describe, expect, test } from 'vitest';
import { type Compiler, Consumer, compilers } from './support/consumer.ts';

const everywhere = `
import * as root from 'holdfast';
import * as transport from 'holdfast/transport';
import * as client from 'holdfast/transport/ws/client';
import * as memory from 'holdfast/transport/memory';
import * as codec from 'holdfast/codec';
import * as logging from 'holdfast/logging';
import * as watch from 'holdfast/watch';
import * as consume from 'holdfast/consume';
import * as cache from 'holdfast/cache';
export const names = [root, transport, client, memory, codec, logging, watch, consume, cache].map((module) => Object.keys(module));
// The DOM's WebSocket is what a browser gives.
export const dial: client.WebSocketGetter = () => new WebSocket('ws://localhost');
`;

const onServers = `
import { createServer } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import * as wsServer from 'holdfast/transport/ws/server';
import * as unixClient from 'holdfast/transport/unix/client';
import * as unixServer from 'holdfast/transport/unix/server';
import * as testing from 'holdfast/testing';
import type { WebSocketGetter } from 'holdfast/transport/ws/client';
export const names = [wsServer, unixClient, unixServer, testing].map((module) => Object.keys(module));
export const dial: WebSocketGetter = () => new WebSocket('ws://localhost');
export const make = () => new wsServer.WebSocketServerTransport(new WebSocketServer({ noServer: true }));
export const unix = () => new unixServer.UnixDomainSocketServerTransport(createServer());
`;

const names = Object.keys(compilers) as Compiler[]; // the keys of compilers

describe.each(names)('our declarations, checked by a consumer with TypeScript %s', (compiler) => {
  test.each([
    { module: 'NodeNext', moduleResolution: 'NodeNext' },
    { module: 'ESNext', moduleResolution: 'Bundler' },
  ])(
    'hold without Node types and without skipLibCheck, with $moduleResolution',
    async (options) => {
      await using consumer = await Consumer.create();
      await consumer.write('index.ts', everywhere);
      expect(await consumer.compile(compiler, options)).toBe('');
    },
    60_000,
  );

  test('hold for the entry points of servers, with the types of Node and ws', async () => {
    await using consumer = await Consumer.create(['@types/node', '@types/ws', 'undici-types']);
    await consumer.write('index.ts', onServers);
    // The declarations of Node's own types need a newer library than ours do.
    const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'] };
    expect(await consumer.compile(compiler, options)).toBe('');
  }, 60_000);
});

test('the entry points of servers need no types of ws, and are not `any` without them', async () => {
  await using consumer = await Consumer.create(['@types/node', 'undici-types']);
  await consumer.write(
    'index.ts',
    `
    import { WebSocketServerTransport } from 'holdfast/transport/ws/server';
    export const transport = new WebSocketServerTransport(undefined, 'SERVER', { allowedOrigins: [] });
    // @ts-expect-error a string is no ws server
    export const wrong = new WebSocketServerTransport('ws://localhost');
    `,
  );
  const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'] };
  expect(await consumer.compile('current', options)).toBe('');
}, 60_000);

test('a declaration that is wrong is found by this check', async () => {
  await using consumer = await Consumer.create();
  await consumer.write('index.ts', "import { noSuchName } from 'holdfast';\nexport { noSuchName };\n");
  expect(await consumer.compile('current')).toContain('noSuchName');
}, 60_000);
