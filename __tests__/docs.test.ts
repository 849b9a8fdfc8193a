import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { chainMutants } from './mutants/chainMutants.ts';
import { mutants } from './mutants/mutants.ts';

const page = readFileSync('docs/reliability.md', 'utf8');

function between(name: string): string {
  const [, rest = ''] = page.split(`<!-- ${name}:begin -->`);
  return rest.split(`<!-- ${name}:end -->`)[0] ?? '';
}

/** Files under a folder of the tests, without their endings. */
function testFiles(folder: string): string[] {
  return readdirSync(`__tests__/${folder}`, { recursive: true, encoding: 'utf8' });
}

test.each([
  ['mutants', mutants],
  ['chain-mutants', chainMutants],
])('docs/reliability.md has the table of all %s, each with the seed and the invariant that caught it', (name, list) => {
  const rows = [...between(name).matchAll(/^\| (.*?) \| (\d+) \| (.+?) \| .* \|$/gm)].map(([, row]) => row);
  expect(rows).toEqual(list.map((mutant) => mutant.name));
});

test('docs/reliability.md has the figures of the simulator and of load', () => {
  expect(between('sim')).toMatch(/simulated hours/);
  expect(between('load')).toMatch(/\| .* \|/);
});

test('every test that docs/reliability.md names is there', () => {
  const [, table = ''] = page.split('## How it is tested');
  const named = [...(table.split('- **The simulator**')[0] ?? '').matchAll(/`([\w/*]+)`/g)].map(
    ([, name = '']) => name,
  );
  expect(named.length).toBeGreaterThan(15);
  const files = testFiles('');
  for (const name of named) {
    if (name === '__tests__/') continue;
    const isThere = name.endsWith('/')
      ? existsSync(`__tests__/${name}`)
      : files.some((file) => file.startsWith(name.replace('*', '')) && file.endsWith('.test.ts'));
    expect(isThere, name).toBe(true);
  }
});

test('every test that docs/idempotency.md names is there', () => {
  const text = readFileSync('docs/idempotency.md', 'utf8');
  const named = [...text.matchAll(/`(sim\/)?(\w+\.test\.ts)`/g)].map(
    ([, sim = 'idempotency/', file = '']) => sim + file,
  );
  expect(named.length).toBeGreaterThan(10);
  for (const name of named) expect(existsSync(`__tests__/${name}`), name).toBe(true);
});

test('every page that a page links to is there', () => {
  const pages = [
    'README.md',
    'PROTOCOL.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'docs/idempotency.md',
    'docs/reliability.md',
    'docs/watch.md',
    'docs/consume.md',
    'docs/cache.md',
    'docs/testing.md',
    'docs/performance.md',
    'SECURITY.md',
    'examples/README.md',
    'testUtil/sim/README.md',
  ];
  for (const from of pages) {
    const folder = from.includes('/') ? from.slice(0, from.lastIndexOf('/') + 1) : '';
    const links = [...readFileSync(from, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[\w-]+)?\)/g)].map(([, link = '']) => link);
    for (const link of links) expect(existsSync(`${folder}${link}`), `${from} links to ${link}`).toBe(true);
  }
});
