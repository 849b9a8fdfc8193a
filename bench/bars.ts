import { text } from '../load/plot.ts';
import { medianOf } from './statistics.ts';
import { digits } from './verdict.ts';

/** One plot: a bar for each library. */
export interface Bars {
  title: string;
  unit: string;
  bars: readonly { name: string; color: string; figures: readonly number[] }[];
}

const WIDTH = 420;
const LEFT = 74;
const RIGHT = 70;
const TOP = 44;
const STEP = 19;
const BAR = 12;
const COLUMNS = 2;

/** Plots in two columns, as an SVG: the median as a bar, from the least to the most as a line. */
export function drawBars(title: string, plots: readonly Bars[]): string {
  const height = TOP + STEP * Math.max(...plots.map(({ bars }) => bars.length)) + 14;
  const [width, all] = [WIDTH * COLUMNS, height * Math.ceil(plots.length / COLUMNS)];
  const body = plots.map((plot, i) => {
    const [x, y] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * height];
    return `<g transform="translate(${x},${y})">\n${draw(plot)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${all}" width="${width}" height="${all}" font-family="sans-serif" font-size="11">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${all}" fill="white"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

function draw({ title, unit, bars }: Bars): string {
  const most = Math.max(...bars.flatMap(({ figures }) => figures));
  const x = (value: number) => Math.round((LEFT + (value / most) * (WIDTH - LEFT - RIGHT)) * 10) / 10;
  const parts = [text(12, 18, title, 'start', '#222', 13), text(12, 33, unit, 'start')];
  for (const [i, { name, color, figures }] of bars.entries()) {
    const y = TOP + i * STEP;
    parts.push(text(LEFT - 6, y + 10, name, 'end'));
    if (figures.length === 0) {
      parts.push(text(LEFT + 4, y + 10, '–', 'start'));
      continue;
    }
    const median = medianOf(figures);
    const [from, to] = [x(Math.min(...figures)), x(Math.max(...figures))];
    parts.push(
      `<rect x="${LEFT}" y="${y}" width="${Math.max(1, x(median) - LEFT)}" height="${BAR}" fill="${color}" fill-opacity="0.75"/>`,
      `<line x1="${from}" x2="${to}" y1="${y + BAR / 2}" y2="${y + BAR / 2}" stroke="#222"/>`,
      text(Math.max(to, x(median)) + 5, y + 10, digits(median), 'start'),
    );
  }
  return parts.join('\n');
}
