import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

/** The files of which something is left in a page that uses these names. */
async function contributing(names: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: {
      contents: `import { ${names} } from 'holdfast/watch'; console.log(${names});`,
      resolveDir: fileURLToPath(new URL('../../', import.meta.url)),
    },
    absWorkingDir: fileURLToPath(new URL('../../', import.meta.url)),
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

test('a page that watches gets no TypeBox, and nothing of topics', async () => {
  const files = await contributing('watch, watchKeys, watchCollection');
  expect(files).toContain('dist/watch/follower.js');
  expect(files.filter((path) => isSchemas(path) || /topic|[sS]tore|sqlite/.test(path))).toEqual([]);
  expect((await contributing('topicProcedure')).some(isSchemas)).toBe(true);
});
