/**
 * What the optional layers do in one process: events published and followed, in memory and in a SQLite file; ten thousand
 * subscribers of one topic; consumers that catch up, and what they hold meanwhile; caches that are read and invalidated. Prints
 * a table, writes `docs/layers.svg` and the table in `docs/performance.md`, and fails if a target is missed. Run it with
 * `npm run bench:layers`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { describeMachine } from '../../load/machine.ts';
import { writePart } from '../../load/markedPart.ts';
import { markdownGrid, plainGrid } from '../../load/table.ts';
import { drawBars } from '../bars.ts';
import { digits } from '../verdict.ts';
import * as caches from './caches.ts';
import * as consumers from './consumers.ts';
import type { Measured } from './measured.ts';
import * as topics from './topics.ts';

/** However long the history: what a run may hold besides what it began with. */
const MOST_HELD_BYTES = 8 * 1024 * 1024;
const REPETITIONS = 3;

const folder = mkdtempSync(join(tmpdir(), 'holdfast-layers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** With what SQLite calls full synchronisation: a commit is on the disk when it returns. */
async function onDisk(run: (db: Database.Database) => Measured | Promise<Measured>): Promise<Measured> {
  const db = new Database(join(folder, `${files++}.db`));
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    return await run(db);
  } finally {
    db.close();
  }
}

interface Case {
  title: string;
  unit: string;
  least: number;
  run: () => Measured | Promise<Measured>;
}

const cases: readonly Case[] = [
  { title: 'published one by one and followed, in memory', unit: 'events/s', least: 100_000, run: topics.inMemory },
  {
    title: 'published 500 at a time and followed, in a file',
    unit: 'events/s',
    least: 20_000,
    run: () => onDisk((db) => topics.durably(db, 500, 100_000)),
  },
  {
    title: 'published one by one and followed, in a file',
    unit: 'events/s',
    least: 0,
    run: () => onDisk((db) => topics.durably(db, 1, 2_000)),
  },
  { title: 'to 10,000 subscribers of one topic', unit: 'deliveries/s', least: 0, run: topics.toSubscribers },
  {
    title: 'a consumer catches up with 1,000,000, in memory',
    unit: 'events/s',
    least: 100_000,
    run: () => consumers.inMemory(1_000_000),
  },
  {
    title: 'the same with asynchronous effects',
    unit: 'events/s',
    least: 0,
    run: () => consumers.asynchronously(1_000_000),
  },
  {
    title: 'the same from a file, with a row in it for each event',
    unit: 'events/s',
    least: 20_000,
    run: () => onDisk((db) => consumers.durably(db, 1_000_000)),
  },
  { title: 'read of what a hop holds', unit: 'reads/s', least: 0, run: caches.reads },
  {
    title: 'invalidated and confirmed over one hop, 100 at a time',
    unit: 'invalidations/s',
    least: 0,
    run: () => caches.invalidations(1),
  },
  {
    title: 'the same over three hops',
    unit: 'invalidations/s',
    least: 0,
    run: () => caches.invalidations(3),
  },
];

let missed = 0;
const lines: string[][] = [];
const bars: { title: string; unit: string; figures: number[] }[] = [];
for (const { title, unit, least, run } of cases) {
  const measured: Measured[] = [];
  for (let i = 0; i < REPETITIONS; i++) measured.push(await run());
  measured.sort((a, b) => a.perSecond - b.perSecond);
  const figures = measured.map(({ perSecond }) => perSecond);
  const median = figures[Math.floor(figures.length / 2)] ?? 0;
  const held = measured.flatMap(({ heldBytes }) => heldBytes ?? []);
  const isMet = median >= least && held.every((bytes) => bytes <= MOST_HELD_BYTES);
  if (!isMet) missed += 1;
  const isJudged = least > 0 || held.length > 0;
  lines.push([
    title,
    `${digits(median)} ${unit} (${digits(figures[0] ?? 0)}–${digits(figures.at(-1) ?? 0)})`,
    least === 0 ? '' : `≥ ${digits(least)}`,
    held.length === 0 ? '' : `${(Math.max(...held) / 1e6).toFixed(1)} MB`,
    held.length === 0 ? '' : `≤ ${(MOST_HELD_BYTES / 1e6).toFixed(1)} MB`,
    isMet ? (isJudged ? 'ok' : '') : 'MISSED',
  ]);
  bars.push({ title, unit, figures });
}

const head = ['', 'measured', 'target', 'held meanwhile, at most', 'target', ''];
console.log(plainGrid(head, lines));
const { cpu, cores, memoryGB, system, node } = describeMachine(false);
const notes =
  `Medians of ${REPETITIONS}, in parentheses the least and the most; one process. ${cpu}, ${cores} cores, ${memoryGB} GB, ` +
  `${system}, Node ${node}; ${new Date().toISOString().slice(0, 10)}.`;
await writePart('docs/performance.md', 'layers', `${markdownGrid(head, lines)}\n\n${notes}`);
const plots = bars.map(({ title, unit, figures }) => ({
  title,
  unit: `${unit}, more is better`,
  bars: [{ name: 'holdfast', color: '#2463b0', figures }],
}));
await writeFile('docs/layers.svg', drawBars('What the optional layers do', plots));
console.log(missed === 0 ? 'Every target is met.' : `${missed} targets are missed.`);
process.exit(missed === 0 ? 0 : 1);
