import { type Conditions, Figures, integer, megabytes, type Outcome } from './outcome.ts';
import type { ReconnectorCommands } from './reconnector.ts';
import type { Series } from './recorder.ts';
import { type Fit, fitLine } from './regression.ts';
import type { ServerCommands } from './server.ts';
import { Worker } from './worker.ts';

/** Samples of the heap in a run, whatever its length: every 2 000 of 100 000 reconnects. */
const SAMPLES = 50;
/** Code is compiled and caches fill at first, reconnects that are not part of the line. A run that is not twice as long is not judged. */
const WARM_UP = 10_000;
/** Above what it takes by far: 20 ms each. */
const MOST_MS_EACH = 20;

/** What a slope may come to over the whole run where zero is not inside the interval: noise of the collector. */
const MOST_GROWTH_BYTES = 1e6;
/** Over which the growth is counted. */
const GROWTH_OVER = 100_000;

/** One session that loses its connection over and over: neither side's heap may grow. */
export async function reconnects({ reconnects, serverCore, clientCore, say }: Conditions): Promise<Outcome> {
  const server = new Worker<ServerCommands>('server', serverCore);
  const client = new Worker<ReconnectorCommands>('reconnector', clientCore);
  const heaps: Record<'server' | 'client', Series> = { server: [], client: [] };
  const sample = async (after: number) => {
    // One after the other: a collection of the one must not delay the other's.
    heaps.server.push([after, (await server.ask('memory', { collected: true })).heapUsed]);
    heaps.client.push([after, (await client.ask('memory', { collected: true })).heapUsed]);
  };
  try {
    const { port } = await server.ask('listen', { port: 0 });
    await client.ask('connect', { port });
    await server.ask('watch');
    const perSample = Math.max(1, Math.ceil(reconnects / SAMPLES));
    say(`reconnects: ${integer(reconnects)} of one session, a sample every ${integer(perSample)}`);
    const startedAt = performance.now();
    await sample(0);
    for (let made = 0; made < reconnects; ) {
      const times = Math.min(perSample, reconnects - made);
      await client.ask('reconnect', { times }, 30_000 + times * MOST_MS_EACH);
      made += times;
      await sample(made);
    }
    const perSecond = reconnects / ((performance.now() - startedAt) / 1_000);
    const atServer = await server.ask('figures');
    const atClient = await client.ask('figures');

    const figures = new Figures('reconnects');
    figures.exactly('reconnects of one session', atServer.cuts, reconnects);
    figures.exactly('sessions, at the server and at the client', Math.max(atClient.sessions, atServer.created + 1), 1);
    figures.exactly('numbers that came back', atClient.received, reconnects);
    figures.exactly('lost or repeated', atClient.lost + atClient.repeated, 0);
    for (const side of ['server', 'client'] as const) judgeHeap(figures, side, heaps[side], reconnects);
    figures.note('reconnects per second', integer(perSecond));
    return { figures: figures.list, series: { serverHeap: heaps.server, clientHeap: heaps.client } };
  } finally {
    await Promise.all([server.kill(), client.kill()]);
  }
}

/** The line that {@link judgeHeap} judges, for the plot as well. */
export function heapLine(heap: Series): Fit {
  const last = heap.at(-1)?.[0] ?? 0;
  return fitLine(heap.filter(([after]) => after >= Math.min(WARM_UP, last / 2)));
}

/**
 * Indistinguishable from zero: zero lies inside the 95 % confidence interval. It also passes where the slope comes to less
 * than 1 MB in 100 000 reconnects: a leak of anything, once per reconnect, is at least 16 bytes each, 1.6 MB.
 */
function judgeHeap(figures: Figures, side: string, heap: Series, reconnects: number): void {
  const { slope, margin } = heapLine(heap);
  const isZero = Math.abs(slope) <= margin;
  const isSmall = Math.abs(slope) * GROWTH_OVER < MOST_GROWTH_BYTES;
  figures.judgeIf(
    reconnects >= 2 * WARM_UP,
    `slope of the ${side}'s heap, per reconnect`,
    `${slope.toFixed(2)} ± ${margin.toFixed(2)} B (95 %)`,
    '0 inside, or < 10 B',
    isZero || isSmall,
  );
  const [first, last] = [heap[0]?.[1] ?? 0, heap.at(-1)?.[1] ?? 0];
  figures.note(`the ${side}'s heap, first and after ${integer(reconnects)}`, `${megabytes(first)}, ${megabytes(last)}`);
}
