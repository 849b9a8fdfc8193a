import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settleServerOptions } from '../../transport/options.ts';
import { Consumer } from '../support/consumer.ts';

/* SECURITY.md is believed by whoever deploys: its numbers, files and code are those of the repository. */

const text = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8');

test('the limits in SECURITY.md have the defaults of the code', () => {
  const rows = [...text.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name = '', value]) => [name, Number(value)]);
  expect(rows.length).toBeGreaterThanOrEqual(10);
  const settled: Record<string, unknown> = { ...settleServerOptions({}) };
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(rows.map(([name = '']) => [name, settled[name]])));
  expect(text).toContain(`\`${settled['duplicateClient']}\` (default)`);
});

test('every test that SECURITY.md names exists', () => {
  const named = [...text.matchAll(/`((?:\w+\/)*\w+(?:\.slow)?\.test\.ts)`/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((name) => !existsSync(new URL(`../${name}`, import.meta.url)))).toEqual([]);
});

test('the server in SECURITY.md compiles', async () => {
  const [, code = ''] = /```ts file=secure.ts\n([\s\S]*?)```/.exec(text) ?? [];
  expect(code).not.toBe('');
  await using consumer = await Consumer.create(['@types/node', 'undici-types']);
  await consumer.write('secure.ts', code);
  const options = { types: ['node'], lib: ['ES2022', 'DOM', 'DOM.Iterable', 'ESNext.Disposable'] };
  expect(await consumer.compile('current', options)).toBe('');
}, 60_000);
