import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The files of which something is left in a page that uses these names of an entry point. Of what was built. */
export async function leftInPage(names: string, entry: string): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents: `import { ${names} } from '${entry}'; console.log(${names});`, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    metafile: true,
    write: false,
  });
  return contributing(metafile);
}

/** The files of which something is left in a bundle, from the repository's root. */
export function contributing({ outputs }: Metafile): string[] {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
  return inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
}

/** Whether a file is of the library that describes schemas. */
export const isSchemas = (path: string): boolean => path.includes('@sinclair/typebox');
