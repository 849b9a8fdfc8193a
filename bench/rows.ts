import { setTimeout as pause } from 'node:timers/promises';
import { PAYLOAD_BYTES } from './application.ts';
import type { Pair } from './pair.ts';

/** What is asked of ours: a ratio to plain `ws`, or a number whatever the others do. */
export interface Target {
  of: 'ratio' | 'figure';
  /** Ours may be at most, or must be at least, this. */
  bound: 'at most' | 'at least';
  /** Undefined: nothing is asked, and the bound says what is better. */
  value: number | undefined;
}

/** One line of the table. */
export interface Row {
  title: string;
  unit: string;
  target: Target;
  /** `long`: a measurement takes its time whatever it is given. `fresh`: and needs processes that have done nothing yet. */
  kind?: 'long' | 'fresh';
  /** Whether connections must be recoverable. Ours always are. */
  recovers?: boolean;
  /** How many times as long as others it is warmed up. */
  warmUpFactor?: number;
  /** Once, before the first measurement. */
  prepare(pair: Pair): Promise<unknown>;
  /** Undefined where the library cannot do it. */
  measure(pair: Pair, ms: number): Promise<number | undefined>;
}

const IN_FLIGHT = 64;
const BYTES_IN_FLIGHT = 8;
/** What is done once at a time is done seldom, and takes V8 longer to compile: for everybody's code. */
const CALLS_WARM_UP_FACTOR = 3;
/** V8 takes seconds to compile what a large message passes, and to find how often it has to collect. */
const BYTES_WARM_UP_FACTOR = 8;
const BATCH = 10_000;
const COUNTED_CALLS = 1_000;
const IDLE_CLIENTS = 1_000;
/** For these the server's code is compiled, and what it has read to begin with is collected: no client's memory. */
const FIRST_CLIENTS = 100;
const SETTLE_MS = 350;
const SUBSCRIBERS = 500;
const PUBLISHERS = 4;
const MISSED = 10_000;

const ratio = (bound: Target['bound'], value: number): Target => ({ of: 'ratio', bound, value });
const figure = (bound: Target['bound'], value: number): Target => ({ of: 'figure', bound, value });

const one = ({ client, port }: Pair) => client.ask('connect', { port, count: 1 });

async function subscribers({ client, port }: Pair, count: number): Promise<void> {
  await client.ask('connect', { port, count });
  await client.ask('subscribe');
}

/** What is measured, in the order of the table. */
export const rows: readonly Row[] = [
  {
    title: 'one call at a time, median',
    unit: 'µs',
    target: ratio('at most', 1.15),
    warmUpFactor: CALLS_WARM_UP_FACTOR,
    prepare: one,
    measure: ({ client }, ms) => client.ask('latency', { ms }),
  },
  {
    title: `${IN_FLIGHT} calls in flight`,
    unit: 'calls/s',
    target: ratio('at least', 1.5),
    warmUpFactor: CALLS_WARM_UP_FACTOR,
    prepare: one,
    measure: ({ client }, ms) => client.ask('callsPerSecond', { ms, lanes: IN_FLIGHT }),
  },
  {
    title: 'stream to the client',
    unit: 'messages/s',
    target: ratio('at least', 3),
    prepare: one,
    measure: ({ client }, ms) => client.ask('download', { ms }),
  },
  {
    title: `stream to the server, ${BATCH.toLocaleString('en')} at a time`,
    unit: 'messages/s',
    target: ratio('at least', 3),
    prepare: one,
    measure: ({ client }, ms) => client.ask('upload', { ms, batch: BATCH }),
  },
  {
    title: 'stream to the server, heeding backpressure',
    unit: 'messages/s',
    target: ratio('at least', 3),
    prepare: one,
    measure: ({ client }, ms) => client.ask('upload', { ms, batch: undefined }),
  },
  {
    title: `64 KiB of bytes echoed, ${BYTES_IN_FLIGHT} in flight`,
    unit: 'MB/s one way',
    target: ratio('at least', 0.9),
    warmUpFactor: BYTES_WARM_UP_FACTOR,
    prepare: one,
    measure: ({ client }, ms) => client.ask('bytes', { ms, lanes: BYTES_IN_FLIGHT, size: PAYLOAD_BYTES }),
  },
  {
    title: 'on the wire per small call, both ways',
    unit: 'B',
    target: figure('at most', 80),
    kind: 'long',
    prepare: one,
    async measure({ client, server }) {
      const before = await server.ask('socketBytes');
      await client.ask('calls', { count: COUNTED_CALLS });
      return ((await server.ask('socketBytes')) - before) / COUNTED_CALLS;
    },
  },
  {
    title: `server memory per idle client, of ${IDLE_CLIENTS.toLocaleString('en')}`,
    unit: 'kB',
    target: ratio('at most', 1.2),
    kind: 'fresh',
    prepare: async () => undefined,
    async measure({ client, server, port }) {
      await client.ask('connect', { port, count: FIRST_CLIENTS });
      await pause(SETTLE_MS);
      const before = await server.ask('rss');
      await client.ask('connect', { port, count: IDLE_CLIENTS });
      await pause(SETTLE_MS);
      return ((await server.ask('rss')) - before) / IDLE_CLIENTS / 1_000;
    },
  },
  {
    title: `one event to ${SUBSCRIBERS} subscribers`,
    unit: 'deliveries/s',
    target: ratio('at least', 1),
    prepare: (pair) => subscribers(pair, SUBSCRIBERS),
    measure: ({ client }, ms) => client.ask('deliveriesOneByOne', { ms }),
  },
  {
    title: `events of ${PUBLISHERS} publishers to ${SUBSCRIBERS} subscribers`,
    unit: 'deliveries/s',
    target: { of: 'ratio', bound: 'at least', value: undefined },
    prepare: (pair) => subscribers(pair, SUBSCRIBERS),
    measure: ({ client }, ms) => client.ask('deliveries', { ms, publishers: PUBLISHERS }),
  },
  {
    title: `${MISSED.toLocaleString('en')} messages after a reconnect, from open to last`,
    unit: 'ms',
    target: figure('at most', 50),
    recovers: true,
    kind: 'long',
    prepare: (pair) => subscribers(pair, 1),
    async measure({ client, server }) {
      if (!(await client.ask('cut'))) return undefined;
      await server.ask('publishToAbsent', { messages: MISSED, timeoutMs: 5_000 });
      return client.ask('catchUp', { messages: MISSED });
    },
  },
];
