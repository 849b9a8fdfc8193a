import { type Panel, plot } from '../../load/plot.ts';
import { digits } from '../verdict.ts';
import type { Point, Question } from './questions.ts';

const COLORS = ['#2463b0', '#c8641c'] as const;

const COLUMNS = 2;

/** What is drawn of each question: lines of its own unit. */
const DRAWN: readonly string[] = [
  'messages/s',
  'calls/s',
  'by one',
  'by all in turn',
  'MB/s one way',
  'client',
  'server',
];

/** A panel for each question, as an SVG. */
export function plotGrowth(answers: readonly { question: Question; points: readonly Point[] }[]): string {
  return plot('What becomes of holdfast when something grows', answers.map(panelOf), COLUMNS);
}

function panelOf({ question, points }: { question: Question; points: readonly Point[] }): Panel {
  const names = Object.keys(points[0]?.values ?? {}).filter((name) => DRAWN.includes(name));
  const sizes = points.map(({ size }) => size);
  const most = Math.max(...points.flatMap(({ values }) => names.map((name) => values[name] ?? 0)));
  return {
    title: question.title,
    x: `${question.size}; ${question.unit}`,
    xEnd: Math.max(...sizes),
    yEnd: roundUp(most),
    xLogFrom: 10 ** Math.floor(Math.log10(Math.min(...sizes))),
    printX: short,
    printY: short,
    lines: names.map((name, i) => ({
      name,
      color: COLORS[i] ?? COLORS[0],
      points: points.map(({ size, values }): [number, number] => [size, values[name] ?? 0]),
    })),
  };
}

/** To a number that can be divided by four and read; never to 0, which is no height. */
function roundUp(value: number): number {
  if (value < 1) return 4;
  const unit = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / unit / 2) * 2 * unit;
}

function short(value: number): string {
  if (value >= 1e6) return `${digits(value / 1e6)}M`;
  return value >= 1e3 ? `${digits(value / 1e3)}k` : digits(value);
}
