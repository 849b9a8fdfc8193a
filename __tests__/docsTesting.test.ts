import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Consumer } from './support/consumer.ts';

test('the program of docs/testing.md compiles against the package, and passes', async () => {
  const page = readFileSync(new URL('../docs/testing.md', import.meta.url), 'utf8');
  const [, program = ''] = /```ts file=testing\.ts\n([\s\S]*?)```/.exec(page) ?? [];
  await using consumer = await Consumer.create(['@types/node', 'undici-types', '@types/ws']);
  await consumer.write('testing.ts', program);
  const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'], noEmit: false };
  expect(await consumer.compile('current', options)).toBe('');
  expect(await consumer.node('testing.js')).toEqual({ code: 0, output: 'passed\n' });
}, 60_000);
