import type { Series } from './recorder.ts';

/** One line of a panel. */
export interface Line {
  name: string;
  color: string;
  points: Series;
  dashed?: boolean;
}

/** One plot, with its axes from zero, or the horizontal one in powers of ten. */
export interface Panel {
  title: string;
  /** Under the horizontal axis, with its unit. */
  x: string;
  /** Where each axis ends, in units of the points. */
  xEnd: number;
  yEnd: number;
  /** How a value is written beside its axis. */
  printX: (value: number) => string;
  printY: (value: number) => string;
  lines: Line[];
  /** A limit on the horizontal axis. */
  xLimit?: number;
  /** Where a logarithmic horizontal axis begins, a power of ten. */
  xLogFrom?: number;
}

const WIDTH = 360;
const HEIGHT = 260;
const LEFT = 62;
const RIGHT = 28;
const TOP = 40;
const BOTTOM = 48;
const TICKS = 4;

/** Panels side by side, as an SVG; in several lines where there are more than `columns`. */
export function plot(title: string, panels: readonly Panel[], columns = panels.length): string {
  const width = WIDTH * columns;
  const height = HEIGHT * Math.ceil(panels.length / columns);
  const body = panels.map((panel, i) => {
    const [x, y] = [(i % columns) * WIDTH, Math.floor(i / columns) * HEIGHT];
    return `<g transform="translate(${x},${y})">\n${draw(panel)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

function draw(panel: Panel): string {
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const share =
    panel.xLogFrom === undefined ? (value: number) => value / panel.xEnd : logShare(panel.xLogFrom, panel.xEnd);
  const x = (value: number) => round(LEFT + share(value) * (right - LEFT));
  const y = (value: number) => round(bottom - (value / panel.yEnd) * (bottom - TOP));
  const parts = [text(LEFT, 20, panel.title, 'start', '#222', 13)];
  for (let i = 0; i <= TICKS; i++) {
    const atY = (panel.yEnd * i) / TICKS;
    parts.push(
      `<line x1="${LEFT}" x2="${right}" y1="${y(atY)}" y2="${y(atY)}" stroke="#e4e4e4"/>`,
      text(LEFT - 6, y(atY) + 4, panel.printY(atY), 'end'),
    );
  }
  for (const atX of ticksOf(panel)) parts.push(text(x(atX), bottom + 16, panel.printX(atX), 'middle'));
  parts.push(text((LEFT + right) / 2, HEIGHT - 12, panel.x, 'middle'));
  if (panel.xLimit !== undefined) {
    const at = x(panel.xLimit);
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}" stroke="#c33" stroke-dasharray="4 3"/>`,
      text(at - 4, TOP + 12, 'limit', 'end', '#c33'),
    );
  }
  panel.lines.forEach(({ name, color, points, dashed }, i) => {
    const path = points.map(([px, py]) => `${x(Math.min(px, panel.xEnd))},${y(Math.min(py, panel.yEnd))}`).join(' ');
    const dash = dashed === true ? ' stroke-dasharray="5 3"' : '';
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.8"${dash}/>`,
      text(right - 8, bottom - 8 - 14 * i, name, 'end', color),
    );
  });
  return parts.join('\n');
}

function ticksOf({ xEnd, xLogFrom }: Panel): number[] {
  if (xLogFrom === undefined) return Array.from({ length: TICKS + 1 }, (_, i) => (xEnd * i) / TICKS);
  const ticks: number[] = [];
  for (let tick = xLogFrom; tick <= xEnd; tick *= 10) ticks.push(tick);
  return ticks;
}

function logShare(from: number, to: number): (value: number) => number {
  return (value) => Math.log(value / from) / Math.log(to / from);
}

/** A line of text in an SVG. */
export function text(x: number, y: number, content: string, anchor: string, color = '#555', size = 11): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${color}" font-size="${size}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
