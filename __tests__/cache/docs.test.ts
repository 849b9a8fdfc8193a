import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Compiler, Consumer, compilers } from '../support/consumer.ts';

const page = readFileSync('docs/cache.md', 'utf8');

test('every test that docs/cache.md names is there', () => {
  // A quoted title belongs to the file that was named last before it.
  const named: { file: string; title: string }[] = [];
  for (const [citation] of page.matchAll(
    /\((?:chain|confirmation|contents|crash|eventMatrix|noLoops|procedures|property|store|transaction|turns|whenLost)[^()]*(?:\([^()]*\)[^()]*)*\)/g,
  )) {
    let file = '';
    for (const [, name, title] of citation.matchAll(/(?:^\(|; )([\w.]+)|"([^"]+)"/g)) {
      if (name !== undefined) file = name;
      if (title !== undefined) named.push({ file, title });
    }
    expect(existsSync(`__tests__/cache/${file}.test.ts`), file).toBe(true);
  }
  expect(named.length).toBeGreaterThan(15);
  for (const { file, title } of named)
    expect(readFileSync(`__tests__/cache/${file}.test.ts`, 'utf8'), `${file}: ${title}`).toContain(`'${title}'`);
});

const names = Object.keys(compilers) as Compiler[]; // the keys of compilers

test.each(names)(
  'the example of docs/cache.md compiles with TypeScript %s, and runs as printed',
  async (compiler) => {
    const [, text = ''] = page.match(/```ts file=chain\.ts\n([\s\S]*?)```/) ?? [];
    await using consumer = await Consumer.create();
    await consumer.write('chain.ts', text);
    expect(await consumer.compile(compiler, { noEmit: false })).toBe('');
    const { code, output } = await consumer.node('chain.js');
    const promised = [...text.matchAll(/console\.log\(.*\); \/\/ (\w+)/g)].map(([, word]) => word);
    expect([output.trim().split('\n'), code]).toEqual([promised, 0]);
    expect(promised).toEqual(['old', 'old', '1', 'new', 'newer']);
  },
  60_000,
);
