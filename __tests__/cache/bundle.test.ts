import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The files of which something is left in a page that uses these names. */
async function contributing(names: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents: `import { ${names} } from 'holdfast/cache'; console.log(${names});`, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    metafile: true,
    write: false,
  });
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs));
  return inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
}

const isSchemas = (path: string) => path.includes('@sinclair/typebox');

test('a page that caches gets no TypeBox, and nothing of what serves', async () => {
  const files = await contributing('relayCache, CacheUnconfirmedError');
  expect(files).toContain('dist/cache/applier.js');
  expect(files.filter((path) => isSchemas(path) || /topic|mirror|sqlite|[pP]rocedures/.test(path))).toEqual([]);
  expect((await contributing('cacheProcedures')).some(isSchemas)).toBe(true);
});
