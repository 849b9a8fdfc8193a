import { inTurn } from '../measuring.ts';
import { type Cores, Pair } from '../pair.ts';
import { medianOf } from '../statistics.ts';
import { GrowthPair } from './growthPair.ts';

/** What is measured at each size. */
export interface Point {
  size: number;
  /** Medians, by the name of their line. */
  values: Record<string, number>;
}

/** What becomes of a figure when a number grows. */
export interface Question {
  title: string;
  /** What grows. */
  size: string;
  unit: string;
  ask(cores: Cores): Promise<Point[]>;
}

const REPETITIONS = 5;
const MS = 500;
const LANES = 64;
const BYTES_LANES = 8;

/** What a message counts in the library's bounds: its own bytes, and what the objects around them weigh. */
const MESSAGE_BYTES = 192 + 42;
/** Besides those that are held back: some frames' worth, since a frame is acknowledged once. */
const IN_FLIGHT = 20_000;

/** With fewer sessions, what a process takes by itself is more than what they weigh. */
const ENOUGH_TO_WEIGH = 1_000;

interface Subject {
  size: number;
  measure(): Promise<Record<string, number>>;
  end(): Promise<unknown>;
}

/** Measures all sizes in turn, so that a slow moment of the machine is every size's. */
async function compare(subjects: readonly Subject[]): Promise<Point[]> {
  const all = new Map(subjects.map((subject) => [subject, [] as Record<string, number>[]]));
  for (const subject of subjects) await subject.measure(); // warms up
  for (let i = 0; i < REPETITIONS; i++)
    for (const subject of inTurn(subjects, i)) all.get(subject)?.push(await subject.measure());
  for (const subject of subjects) await subject.end();
  return [...all].map(([{ size }, measured]) => {
    const lines = Object.keys(measured[0] ?? {});
    const median = (line: string) => medianOf(measured.map((values) => values[line] ?? Number.NaN));
    return { size, values: Object.fromEntries(lines.map((line) => [line, median(line)])) };
  });
}

async function unacknowledged(cores: Cores, lag: number): Promise<Subject> {
  const high = (lag + IN_FLIGHT) * MESSAGE_BYTES;
  const bounds = {
    sessionHighWaterBytes: high,
    maxSessionBufferBytes: Math.max(64 * high, 16 * 1024 * 1024),
    // Credit travels with acknowledgements, and is late as they are.
    readableHighWaterBytes: Math.max(2 * high, 256 * 1024),
  };
  const pair = await GrowthPair.start(cores, bounds);
  const { server, client } = pair;
  return {
    size: lag,
    async measure() {
      const perSecond = await client.ask('download', { ms: 2 * MS, lag, runUp: 4 * IN_FLIGHT });
      return { 'messages/s': perSecond, 'most unacknowledged': await server.ask('mostUnacknowledged') };
    },
    end: () => pair.end(),
  };
}

async function openCalls(cores: Cores, size: number): Promise<Subject> {
  const pair = await GrowthPair.start(cores, { maxStreamsPerSession: 2 * size + LANES });
  await pair.client.ask('openCalls', { count: size });
  return {
    size,
    measure: async () => ({ 'calls/s': await pair.client.ask('callsPerSecond', { ms: MS, lanes: LANES }) }),
    end: () => pair.end(),
  };
}

async function sessions(cores: Cores, size: number): Promise<Subject> {
  const pair = await Pair.start('holdfast', cores, false);
  const before = await pair.server.ask('rss');
  await pair.client.ask('connect', { port: pair.port, count: size });
  const perSession = ((await pair.server.ask('rss')) - before) / size / 1_000;
  const weight: Record<string, number> = size < ENOUGH_TO_WEIGH ? {} : { 'kB a session': perSession };
  return {
    size,
    async measure() {
      const ask = (spread: boolean) => pair.client.ask('callsPerSecond', { ms: MS, lanes: LANES, spread });
      return { 'by one': await ask(false), 'by all in turn': await ask(true), ...weight };
    },
    end: () => pair.audit().then(() => pair.kill()),
  };
}

async function payload(cores: Cores, size: number): Promise<Subject> {
  const pair = await Pair.start('holdfast', cores, false);
  await pair.client.ask('connect', { port: pair.port, count: 1 });
  return {
    size,
    async measure() {
      const megabytes = (await pair.client.ask('bytes', { ms: MS, lanes: BYTES_LANES, size })) ?? Number.NaN;
      return { 'MB/s one way': megabytes, 'µs a call': size / megabytes };
    },
    end: () => pair.audit().then(() => pair.kill()),
  };
}

async function timers(cores: Cores, size: number): Promise<Subject> {
  const pair = await GrowthPair.start(cores, {});
  return {
    size,
    async measure() {
      const before = await pair.server.ask('timersStarted');
      const client = await pair.client.ask('timersOfCalls', { count: size });
      return { client, server: (await pair.server.ask('timersStarted')) - before };
    },
    end: () => pair.end(),
  };
}

function question(
  title: string,
  size: string,
  unit: string,
  sizes: readonly number[],
  start: (cores: Cores, size: number) => Promise<Subject>,
): Question {
  const ask = async (cores: Cores) => {
    const subjects: Subject[] = [];
    for (const size of sizes) subjects.push(await start(cores, size));
    return compare(subjects);
  };
  return { title, size, unit, ask };
}

/** How many may be unacknowledged, from the least to the most. */
export const LAGS = [10, 100, 1_000, 10_000, 100_000] as const;

/** What must not slow down. */
export const unacknowledgedQuestion = question(
  'stream to the client, acknowledged late',
  'unacknowledged messages',
  'messages/s',
  LAGS,
  unacknowledged,
);

/** All of them, in the order of the table. */
export const questions: readonly Question[] = [
  unacknowledgedQuestion,
  question(
    `${LANES} calls in flight beside open calls`,
    'open calls',
    'calls/s',
    [1, 10, 100, 1_000, 10_000],
    openCalls,
  ),
  question(`${LANES} calls in flight beside sessions`, 'sessions', 'calls/s', [1, 10, 100, 1_000, 5_000], sessions),
  question(
    `bytes echoed, ${BYTES_LANES} in flight`,
    'bytes of payload',
    'MB/s one way',
    [16, 256, 4 * 1024, 64 * 1024, 256 * 1024],
    payload,
  ),
  question('timers started by calls', 'calls', 'timers', [100, 1_000, 10_000], timers),
];
