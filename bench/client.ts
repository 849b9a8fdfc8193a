/** A clients' process: the library that its first argument names, and nothing of the others. */
import { obey } from '../load/commands.ts';
import { inWaves } from '../load/waiting.ts';
import { small, type Writing } from './application.ts';
import { Arrivals } from './arrivals.ts';
import { type Connected, libraryNamed, sides } from './library.ts';
import { perSecond } from './perSecond.ts';
import { medianOf } from './statistics.ts';

const { client } = await sides[libraryNamed(process.argv[2])].client();
const connected: Connected[] = [];

/** The one that is measured; where there are many, one of them. */
function first(): Connected {
  return connected[0] ?? notConnected();
}

function notConnected(): never {
  throw new Error('not connected');
}

/** How long all may take to have what was published. */
const ARRIVE_MS = 10_000;
/** Far more than anybody writes in a window of time. */
const NO_BOUND = 1e9;
/** The server's other limit, for writers that are bound by how many they write. */
const NO_TIME = 60_000;

const events = new Arrivals();
const onEvent = () => events.add();

const commands = {
  /** Connects clients, each of which makes a call. */
  connect: ({ port, count }: { port: number; count: number }) =>
    inWaves(count, 50, async () => {
      connected.push(await client.connect(port));
    }),
  /** The median of calls that are made one after the other, in microseconds. */
  async latency({ ms }: { ms: number }): Promise<number> {
    const one = first();
    const took: number[] = [];
    const end = performance.now() + ms;
    for (let n = 0, at = performance.now(); at < end; n++) {
      await one.echo(small(n));
      const now = performance.now();
      took.push(now - at);
      at = now;
    }
    return medianOf(took) * 1_000;
  },
  async calls({ count }: { count: number }): Promise<void> {
    for (let n = 0; n < count; n++) await first().echo(small(n));
  },
  /** @param spread over all clients, in turn; otherwise by the first */
  callsPerSecond({ ms, lanes, spread = false }: { ms: number; lanes: number; spread?: boolean }): Promise<number> {
    const all = spread ? connected : [first()];
    let n = 0;
    return perSecond(ms, lanes, async () => {
      const asked = n++;
      const { n: answered } = await (all[asked % all.length] ?? first()).echo(small(asked));
      if (answered !== asked) throw new Error(`asked with ${asked}, and got ${answered}`);
    });
  },
  /** Messages a second from the server, until the last is here. */
  async download({ ms }: { ms: number }): Promise<number | undefined> {
    const one = first();
    let received = 0;
    const startedAt = performance.now();
    const count = () => {
      received += 1;
    };
    if (one.download === undefined) return undefined;
    await one.download({ ms, messages: NO_BOUND, heeds: true }, count);
    return received / ((performance.now() - startedAt) / 1_000);
  },
  /** Messages a second to the server, until it has the last of them. Batches are confirmed one by one. */
  async upload({ ms, batch }: { ms: number; batch: number | undefined }): Promise<number | undefined> {
    const one = first();
    if (one.upload === undefined) return undefined;
    const writing: Writing =
      batch === undefined ? { ms, messages: NO_BOUND, heeds: true } : { ms: NO_TIME, messages: batch, heeds: false };
    let received = 0;
    const startedAt = performance.now();
    do {
      const got = await one.upload(writing);
      if (batch !== undefined && got !== batch) throw new Error(`the server received ${got} messages of ${batch}`);
      received += got;
    } while (performance.now() - startedAt < ms);
    return received / ((performance.now() - startedAt) / 1_000);
  },
  /** Megabytes a second in one direction. */
  async bytes({ ms, lanes, size }: { ms: number; lanes: number; size: number }): Promise<number | undefined> {
    const one = first();
    if (one.echoBytes === undefined) return undefined;
    const bytes = new Uint8Array(size).map((_, i) => i);
    const echo = one.echoBytes.bind(one);
    const calls = await perSecond(ms, lanes, async () => {
      const { length } = await echo(bytes);
      if (length !== size) throw new Error(`expected ${size} bytes back, got ${length}`);
    });
    return (calls * size) / 1e6;
  },
  /** All of them. */
  async subscribe(): Promise<void> {
    for (const one of connected) await one.subscribe?.(onEvent);
  },
  /** A client publishes an event to all subscribers, and the next when all have it: deliveries a second. */
  async deliveriesOneByOne({ ms }: { ms: number }): Promise<number | undefined> {
    const one = first();
    if (one.publish === undefined) return undefined;
    let delivered = 0;
    const startedAt = performance.now();
    for (let n = 0; performance.now() - startedAt < ms; n++) {
      await Promise.all([events.expect(connected.length, ARRIVE_MS), one.publish(small(n))]);
      delivered += connected.length;
    }
    return delivered / ((performance.now() - startedAt) / 1_000);
  },
  /** So many clients publish, each its next event when it is told that the one before is on its way; until all have come. */
  async deliveries({ ms, publishers }: { ms: number; publishers: number }): Promise<number | undefined> {
    if (first().publish === undefined) return undefined;
    let published = 0;
    const startedAt = performance.now();
    events.restart();
    await perSecond(ms, publishers, (lane) => connected[lane]?.publish?.(small(published++)) ?? notConnected());
    const delivered = published * connected.length;
    const lastAt = await events.reached(delivered, ARRIVE_MS);
    return delivered / ((lastAt - startedAt) / 1_000);
  },
  /** Cuts the one client off. False if its library cannot go on after it. */
  cut(): boolean {
    const { cut } = first();
    cut?.cut();
    return cut !== undefined;
  },
  /** Milliseconds from the new connection's opening to the last of the messages. */
  async catchUp({ messages }: { messages: number }): Promise<number> {
    const all = events.expect(messages, ARRIVE_MS);
    const [openedAt = 0, lastAt] = await Promise.all([first().cut?.reopen(), all]);
    return lastAt - openedAt;
  },
  spoken: () => client.audit?.spoken(),
  talk: ({ port }: { port: number }) => client.audit?.talk(port),
};

/** What clients do when told. */
export type ClientCommands = typeof commands;

obey(commands);
