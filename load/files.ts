import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Machine, printMachine } from './machine.ts';
import { writePart } from './markedPart.ts';
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

const TITLE = 'Sessions resumed after a cut and a restart; heap over reconnects';

/** Writes `load.json` and `load.svg`, and the table into `reliability.md` where that has a place for it. Returns what it wrote. */
export async function writeRun(folder: string, run: Run): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const json = join(folder, 'load.json');
  const svg = join(folder, 'load.svg');
  await writeFile(json, printJson(run));
  await writeFile(svg, plot(TITLE, panelsOf(run.series, run.sessions)));
  const page = join(folder, 'reliability.md');
  const table = `${markdownTable(run.figures)}\n\n${printMachine(run.machine)}; ${run.date}.`;
  return (await writePart(page, 'load', table)) ? [json, svg, page] : [json, svg];
}

/** One point of a series to a line would be thousands of lines. */
function printJson(run: Run): string {
  const text = JSON.stringify(run, undefined, 2);
  return `${text.replaceAll(/\[\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\](,?)\s+/g, '[$1, $2]$3 ')}\n`;
}
