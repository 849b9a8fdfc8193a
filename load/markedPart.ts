import { readFile, writeFile } from 'node:fs/promises';

/**
 * Writes what stands in a page between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
 * @returns false, and nothing is written, where there is no such page or no such place in it
 */
export async function writePart(page: string, name: string, content: string): Promise<boolean> {
  const text = await readFile(page, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const [before, after] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [begin, end] = [text.indexOf(before), text.indexOf(after)];
  if (begin < 0 || end < begin) return false;
  await writeFile(page, `${text.slice(0, begin)}${before}\n\n${content}\n\n${text.slice(end)}`);
  return true;
}
