import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What is in a file; null: there is none. */
export async function readText(folder: string, name: string): Promise<string | null> {
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Puts it there as a whole, or takes it away: nobody sees half a file. */
export async function writeText(folder: string, name: string, text: string | null): Promise<void> {
  if (text === null) return rm(join(folder, name), { force: true });
  const draft = join(folder, `.${name}.draft`);
  await writeFile(draft, text);
  await rename(draft, join(folder, name));
}
