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
  const [one] = connected;
  if (one === undefined) throw new Error('not connected');
  return one;
}

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
  /** A client publishes so many events in one turn, each to all subscribers, and the next when all have those: deliveries a second. */
  async deliveries({ ms, inOneTurn }: { ms: number; inOneTurn: number }): Promise<number | undefined> {
    const one = first();
    if (one.publish === undefined) return undefined;
    const publish = one.publish.bind(one);
    let delivered = 0;
    const startedAt = performance.now();
    for (let n = 0; performance.now() - startedAt < ms; n += inOneTurn) {
      const count = connected.length * inOneTurn;
      const all = events.expect(count, 10_000);
      await Promise.all([all, ...Array.from({ length: inOneTurn }, (_, i) => publish(small(n + i)))]);
      delivered += count;
    }
    return delivered / ((performance.now() - startedAt) / 1_000);
  },
  /** Cuts the one client off. False if its library cannot go on after it. */
  cut(): boolean {
    const { cut } = first();
    cut?.cut();
    return cut !== undefined;
  },
  /** Milliseconds from the new connection's opening to the last of the messages. */
  async catchUp({ messages }: { messages: number }): Promise<number> {
    const all = events.expect(messages, 10_000);
    const [openedAt = 0, lastAt] = await Promise.all([first().cut?.reopen(), all]);
    return lastAt - openedAt;
  },
  spoken: () => client.audit?.spoken(),
  talk: ({ port }: { port: number }) => client.audit?.talk(port),
};

/** What clients do when told. */
export type ClientCommands = typeof commands;

obey(commands);
