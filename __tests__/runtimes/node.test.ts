import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const smoke = fileURLToPath(new URL('./smoke.mjs', import.meta.url));
const layers = fileURLToPath(new URL('./layers.mjs', import.meta.url));

test.each([
  ['as it is', []],
  ['that refuses to generate code from strings', ['--disallow-code-generation-from-strings']],
])(
  'a Node %s serves and calls over every transport and codec, through a cut',
  async (_name, flags) => {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, smoke]);
    const seen: unknown = JSON.parse(stdout);
    expect(seen).toEqual(
      expect.arrayContaining([
        'ws × json',
        'unix × json',
        'memory × json',
        'ws × msgpack',
        'unix × msgpack',
        'memory × msgpack',
      ]),
    );
  },
  30_000,
);

test('a Node has topics, consumers and caches over SQLite', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [layers]);
  const seen: unknown = JSON.parse(stdout);
  expect(seen).toEqual([expect.stringContaining('sql'), 'watch', 'consume', 'cache', 'idempotency']);
}, 30_000);
