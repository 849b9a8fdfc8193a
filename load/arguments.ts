import { parseArgs } from 'node:util';

/** The scenarios, in the order they run. */
export const scenarioNames = ['idle', 'cut', 'restart', 'greedy', 'reconnects'] as const;
/** One of {@link scenarioNames}. */
export type ScenarioName = (typeof scenarioNames)[number];

/** What a run is asked for. */
export interface Arguments {
  sessions: number;
  reconnects: number;
  only: readonly ScenarioName[];
  /** Where the figures are written; undefined: nowhere. */
  out: string | undefined;
}

const FULL = { sessions: 10_000, reconnects: 100_000 };

/** For whoever asks for something else. */
export const USAGE = `npm run load -- [--sessions N] [--reconnects N] [--only ${scenarioNames.join('|')}]… [--out FOLDER]
Figures are written to docs/ by a run of everything in full size, and to --out by any.`;

function whole(name: string, text: string | undefined, least: number, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new TypeError(`--${name}: expected a whole number ≥ ${least}, got '${text}'`);
  return value;
}

/** @throws {TypeError} for arguments that make no sense */
export function readArguments(args: string[]): Arguments {
  const { values } = parseArgs({
    args,
    options: {
      sessions: { type: 'string' },
      reconnects: { type: 'string' },
      only: { type: 'string', multiple: true },
      out: { type: 'string' },
    },
  });
  const only = (values.only ?? scenarioNames).map((name) => {
    const known = scenarioNames.find((scenario) => scenario === name);
    if (known === undefined) throw new TypeError(`--only: expected ${scenarioNames.join(', ')}, got '${name}'`);
    return known;
  });
  const sessions = whole('sessions', values.sessions, 2, FULL.sessions);
  const reconnects = whole('reconnects', values.reconnects, 10, FULL.reconnects);
  const isFull =
    scenarioNames.every((name) => only.includes(name)) && sessions >= FULL.sessions && reconnects >= FULL.reconnects;
  return { sessions, reconnects, only, out: values.out ?? (isFull ? 'docs' : undefined) };
}
