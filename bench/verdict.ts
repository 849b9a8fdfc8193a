import type { Figures } from './measuring.ts';
import type { Row, Target } from './rows.ts';
import { medianOf } from './statistics.ts';

/** Ours in one row. */
export interface Verdict {
  /** To plain `ws`: the median of the ratios within each repetition. Undefined where `ws` has no figure. */
  ratio: number | undefined;
  /** As it is printed: a ratio, or a figure with its unit. */
  measured: string;
  target: string;
  /** True where nothing is asked. */
  ok: boolean;
}

/** Whether ours does what is asked of it. */
export function judge({ target, unit }: Row, figures: Figures): Verdict {
  const ours = figures.get('holdfast') ?? [];
  const theirs = figures.get('ws');
  const ratio =
    theirs === undefined ? undefined : medianOf(ours.map((figure, i) => figure / (theirs[i] ?? Number.NaN)));
  const judged = target.of === 'ratio' ? (ratio ?? Number.NaN) : medianOf(ours);
  const { value } = target;
  // A NaN fits no bound.
  const ok = value === undefined || (target.bound === 'at most' ? judged <= value : judged >= value);
  const print = (value: number) => (target.of === 'ratio' ? `${digits(value)} × ws` : `${digits(value)} ${unit}`);
  return { ratio, measured: print(judged), target: printTarget(target, print), ok };
}

function printTarget({ bound, value }: Target, print: (value: number) => string): string {
  return value === undefined ? '–' : `${bound === 'at most' ? '≤' : '≥'} ${print(value)}`;
}

/** Three digits that count. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}
