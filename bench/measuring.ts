import type { LibraryName } from './library.ts';
import { type Cores, Pair } from './pair.ts';
import type { Row } from './rows.ts';

/** How long a measurement takes, and how often it is made. */
export interface Effort {
  repetitions: number;
  /** Of rows whose measurement takes its time whatever `ms` says. */
  longRepetitions: number;
  /** Of one measurement. */
  ms: number;
  /** Of one that does not count, before the first that does. */
  warmUpMs: number;
}

/** The figures of one row, one for each repetition; undefined where a library cannot do it. */
export type Figures = Map<LibraryName, number[] | undefined>;

/** Measures a row, the libraries in turn in each repetition: a slow moment of the machine is everybody's. */
export async function measure(row: Row, names: readonly LibraryName[], effort: Effort, cores: Cores): Promise<Figures> {
  const figures: Figures = new Map(names.map((name) => [name, []]));
  const repetitions = row.kind === undefined ? effort.repetitions : effort.longRepetitions;
  const note = async (pair: Pair) => {
    const figure = await row.measure(pair, effort.ms);
    if (figure === undefined) figures.set(pair.library, undefined);
    else figures.get(pair.library)?.push(figure);
  };
  if (row.kind === 'fresh') {
    for (let i = 0; i < repetitions; i++)
      for (const name of inTurn(names, i)) await withPairs([name], row, cores, (pairs) => eachOf(pairs, note));
    return figures;
  }
  await withPairs(names, row, cores, async (pairs) => {
    await eachOf(pairs, (pair) => row.measure(pair, effort.warmUpMs * (row.warmUpFactor ?? 1)));
    for (let i = 0; i < repetitions; i++) await eachOf(inTurn(pairs, i), note);
  });
  return figures;
}

async function withPairs(
  names: readonly LibraryName[],
  row: Row,
  cores: Cores,
  run: (pairs: readonly Pair[]) => Promise<void>,
): Promise<void> {
  const pairs = await Promise.all(names.map((name) => Pair.start(name, cores, row.recovers === true)));
  try {
    await eachOf(pairs, row.prepare);
    await run(pairs);
    await eachOf(pairs, (pair) => pair.audit());
  } finally {
    await Promise.all(pairs.map((pair) => pair.kill()));
  }
}

async function eachOf(pairs: readonly Pair[], step: (pair: Pair) => Promise<unknown>): Promise<void> {
  for (const pair of pairs) await step(pair);
}

/** What is measured in a repetition, in such an order that nobody is always the first. */
export function inTurn<T>(all: readonly T[], repetition: number): readonly T[] {
  return repetition % 2 === 0 ? all : [...all].reverse();
}
