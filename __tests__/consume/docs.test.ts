import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { statusEdges } from '../../consume/status.ts';
import { Consumer } from '../support/consumer.ts';

const page = readFileSync(new URL('../../docs/consume.md', import.meta.url), 'utf8');

test('the status graph of docs/consume.md is the table in the code', () => {
  const drawn = [...page.matchAll(/^ {2}(\w+) --> (\w+)$/gm)].map(([, from, to]) => `${from} --> ${to}`);
  const edges = Object.entries(statusEdges).flatMap(([from, to]) => to.map((status) => `${from} --> ${status}`));
  expect(drawn.sort()).toEqual(edges.sort());
});

test('docs/consume.md names a test for each promise, and each is there', () => {
  const rows = [...page.matchAll(/\| `(\w+\.test\.ts)`: (.*) \|$/gm)];
  expect(rows.length).toBeGreaterThan(10);
  for (const [, file = '', title = ''] of rows) {
    const text = readFileSync(new URL(file, import.meta.url), 'utf8');
    expect(text.includes(`'${title}`), `${file} has no test '${title}'`).toBe(true);
  }
});

test('the example of docs/consume.md compiles and does what it says, as printed', async () => {
  const [, text = ''] = /```ts file=shop\.ts\n([\s\S]*?)```/.exec(page) ?? [];
  await using consumer = await Consumer.create(['@types/node', 'undici-types', 'libsql']);
  await consumer.write('shop.ts', text);
  const options = {
    types: ['node'],
    lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'],
    noEmit: false,
    skipLibCheck: true,
  };
  for (const compiler of ['5.4', 'current'] as const)
    expect(await consumer.compile(compiler, options), compiler).toBe('');
  const { code, output } = await consumer.node('shop.js');
  const lines = output
    .trim()
    .split('\n')
    .map((line) => line.replace(/, _metadata.*/, ''));
  expect(lines.filter((line) => line === 'mail to ada')).toHaveLength(2);
  expect(output).toMatch(/cents: 1200/);
  expect(lines.slice(-2)).toEqual(['mail active 2', 'revenue active 2']);
  expect(code).toBe(0);
}, 60_000);
