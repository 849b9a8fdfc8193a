import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Consumer } from '../support/consumer.ts';

const page = readFileSync(new URL('../../docs/watch.md', import.meta.url), 'utf8');
const files = [...page.matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)].map(([, name = '', text = '']) => ({
  name,
  text,
}));

test("the page's code compiles and does what its comments say", async () => {
  expect(files.map(({ name }) => name)).toEqual(['services.ts', 'main.ts', 'outbox.ts', 'deltas.ts', 'rooms.ts']);
  const types = ['@types/node', 'undici-types'];
  await using consumer = await Consumer.create([...types, 'libsql']);
  for (const { name, text } of files) await consumer.write(name, text);
  const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'], noEmit: false };
  // The declarations of libsql are not ours to check.
  for (const compiler of ['5.4', 'current'] as const)
    expect(await consumer.compile(compiler, { ...options, skipLibCheck: true }), compiler).toBe('');
  expect(await consumer.node('main.js')).toEqual({ code: 0, output: 'hello\nagain live 0\n' });
  expect(await consumer.node('outbox.js')).toEqual({ code: 0, output: '1\n' });
  expect(await consumer.node('deltas.js')).toEqual({ code: 0, output: "[ 'hello', 'and good-bye' ] 1\n" });
  expect(await consumer.node('rooms.js')).toEqual({ code: 0, output: 'lobby\n0 live\n' });
}, 60_000);

test('every guarantee of the page names a test that is there', () => {
  const [, rest = ''] = page.split('## What is guaranteed');
  const [table = ''] = rest.split('\n## ');
  const rows = [...table.matchAll(/^\| [^|]+ \| (`[^|]+) \|$/gm)].map(([, cell = '']) => cell).slice(1);
  expect(rows.length).toBeGreaterThan(12);
  for (const [, name = ''] of rows.join().matchAll(/`(\w+)`/g))
    expect(existsSync(new URL(`${name}.test.ts`, import.meta.url)), name).toBe(true);
});
