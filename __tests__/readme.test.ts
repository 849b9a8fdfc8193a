import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Consumer } from './support/consumer.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const files = [...readme.matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)].map(([, name = '', text = '']) => ({
  name,
  text,
}));
const commands = [...readme.matchAll(/```sh\n([^\n]*)/g)].map(([, command = '']) => command.replace(/ +#.*/, ''));

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

test('the first two commands of the README run the demo and the tests', () => {
  expect(commands.slice(0, 2)).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
});

test("the README's service, server and client compile and talk to each other, as printed", async () => {
  expect(files.map(({ name }) => name)).toEqual(['services.ts', 'server.ts', 'client.ts', 'unix.ts', 'files.ts']);
  await using consumer = await Consumer.create(['@types/node', 'undici-types']);
  const port = String(await freePort());
  for (const { name, text } of files) await consumer.write(name, text.replaceAll('8080', port));
  // Runs both, says goodbye as a second client would, and stops.
  await consumer.write(
    'run.ts',
    `
    import { connect } from 'holdfast';
    import type { Services } from './services.js';
    import { stop } from './server.js';
    const other = connect<Services>('ws://localhost:${port}');
    const lines = setInterval(() => void other.client.chat.say.rpc({ line: 'bye' }), 50);
    await import('./client.js');
    clearInterval(lines);
    other.close();
    await stop();
    console.log('stopped');
    `,
  );
  const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'], noEmit: false };
  expect(await consumer.compile('current', options)).toBe('');
  const { code, output } = await consumer.node('run.js');
  const [status, ...rest] = output
    .trim()
    .split('\n')
    .filter((line) => line !== 'connecting');
  expect(status).toBe('connected');
  expect(rest[0]).toMatch(/^\d+ lines$/);
  expect(rest.slice(1)).toEqual(['bye', 'closed', 'stopped']);
  expect(code).toBe(0);
  expect(await consumer.node('unix.js')).toEqual({ code: 0, output: '{ ok: true, payload: { count: 1 } }\n' });
  const { output: said } = await consumer.node('files.js');
  expect(said.split('\n').slice(-4)).toEqual([
    '66536 bytes have reached the server',
    '{ ok: true, payload: { bytes: 66536 } }',
    'HELLO',
    '',
  ]);
}, 60_000);
