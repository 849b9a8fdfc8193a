import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Outcome } from './outcome.ts';
import { panelsOf } from './panels.ts';
import { plot } from './plot.ts';
import { markdownTable } from './table.ts';

/** A whole run. */
export interface Run extends Outcome {
  /** Of its end, ISO 8601, without the time. */
  date: string;
  machine: Machine;
  sessions: number;
  reconnects: number;
}

const BEGIN = '<!-- load:begin -->';
const END = '<!-- load:end -->';

/** Writes `load.json` and `load.svg`, and the table into `reliability.md` where that has a place for it. Returns what it wrote. */
export async function writeRun(folder: string, run: Run): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const json = join(folder, 'load.json');
  const svg = join(folder, 'load.svg');
  await writeFile(json, printJson(run));
  await writeFile(svg, plot(panelsOf(run.series, run.sessions)));
  const page = join(folder, 'reliability.md');
  return (await writeTable(page, run)) ? [json, svg, page] : [json, svg];
}

/** One point of a series to a line would be thousands of lines. */
function printJson(run: Run): string {
  const text = JSON.stringify(run, undefined, 2);
  return `${text.replaceAll(/\[\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\](,?)\s+/g, '[$1, $2]$3 ')}\n`;
}

async function writeTable(page: string, run: Run): Promise<boolean> {
  const text = await readFile(page, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) return false;
  const { cpu, cores, memoryGB, system, node, pinned } = run.machine;
  const where = `${cpu}, ${cores} cores, ${memoryGB} GB, ${system}, Node ${node}; server and clients ${
    pinned ? 'on a core each' : 'not pinned to cores'
  }; ${run.date}.`;
  const table = `${BEGIN}\n\n${markdownTable(run.figures)}\n\n${where}\n\n`;
  await writeFile(page, text.slice(0, begin) + table + text.slice(end));
  return true;
}
