import { writeFile } from 'node:fs/promises';
import { type Machine, printMachine } from '../load/machine.ts';
import { writePart } from '../load/markedPart.ts';
import { markdownGrid, plainGrid } from '../load/table.ts';
import { type Bars, drawBars } from './bars.ts';
import { type LibraryName, libraries } from './library.ts';
import type { Effort, Figures } from './measuring.ts';
import type { Row } from './rows.ts';
import { medianOf } from './statistics.ts';
import { digits, type Verdict } from './verdict.ts';

/** One line of the table, measured and judged. */
export interface Measured {
  row: Row;
  figures: Figures;
  verdict: Verdict;
}

/** What is said about a whole run besides its figures. */
export interface Circumstances {
  /** ISO 8601, without the time. */
  date: string;
  machine: Machine;
  effort: Effort;
  versions: Readonly<Record<string, string>>;
  /** What others used of all cores meanwhile, where that can be told: a share. */
  others: number | undefined;
}

const COLORS: Readonly<Record<LibraryName, string>> = {
  holdfast: '#2463b0',
  ws: '#888888',
  'Socket.IO': '#c8641c',
  tRPC: '#4b8b3b',
  gRPC: '#8a4fa3',
  capnweb: '#b03a4a',
};

const HEAD = ['', 'unit', ...libraries, 'ours / ws', 'target', ''];

function cellsOf({ row, figures, verdict }: Measured): string[] {
  const cells = libraries.map((library) => {
    const measured = figures.get(library);
    if (measured === undefined || measured.length === 0) return '–';
    return `${digits(medianOf(measured))} (${digits(Math.min(...measured))}–${digits(Math.max(...measured))})`;
  });
  const ratio = verdict.ratio === undefined ? '–' : digits(verdict.ratio);
  const outcome = row.target.value === undefined ? '' : verdict.ok ? 'ok' : 'MISSED';
  return [row.title, row.unit, ...cells, ratio, verdict.target, outcome];
}

/** For a terminal. */
export function printRun(measured: readonly Measured[]): string {
  return plainGrid(HEAD, measured.map(cellsOf));
}

/** Writes `docs/bench.json`, `docs/bench.svg`, and the table into `docs/performance.md`. Returns what it wrote. */
export async function writeRun(measured: readonly Measured[], circumstances: Circumstances): Promise<string[]> {
  const json = {
    ...circumstances,
    rows: measured.map(({ row: { title, unit, target }, figures, verdict }) => ({
      title,
      unit,
      target,
      ratioToWs: verdict.ratio,
      ok: target.value === undefined ? null : verdict.ok,
      figures: Object.fromEntries(figures),
    })),
  };
  await writeFile('docs/bench.json', `${JSON.stringify(json, undefined, 2)}\n`);
  await writeFile('docs/bench.svg', drawBars('holdfast and others on one machine', measured.map(barsOf)));
  const { versions, machine, date, effort, others } = circumstances;
  const notes = [
    `Medians of ${effort.repetitions} repetitions, in parentheses the least and the most; the ratio is the median of`,
    `the repetitions' own. ${printMachine(machine)}; ${date}.`,
    ...(others === undefined ? [] : [`Others used ${(others * 100).toFixed(0)} % of the cores meanwhile.`]),
    `${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
  ].join(' ');
  const table = `${markdownGrid(HEAD, measured.map(cellsOf))}\n\n${notes}`;
  const isWritten = await writePart('docs/performance.md', 'bench', table);
  return ['docs/bench.json', 'docs/bench.svg', ...(isWritten ? ['docs/performance.md'] : [])];
}

function barsOf({ row, figures }: Measured): Bars {
  return {
    title: row.title,
    unit: `${row.unit}, ${row.target.bound === 'at most' ? 'less' : 'more'} is better`,
    bars: libraries.map((name) => ({ name, color: COLORS[name], figures: figures.get(name) ?? [] })),
  };
}
