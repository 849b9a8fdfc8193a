/** The clients' process of a growth run. */
import { unwrapOrThrow } from 'holdfast';
import { obey } from '../../load/commands.ts';
import { small } from '../application.ts';
import { type Dialled, dial, spoken } from '../holdfast/dial.ts';
import { talk } from '../holdfast/talk.ts';
import { perSecond } from '../perSecond.ts';
import { type Bounds, budget } from './bounds.ts';
import { countingClock, timers } from './countingClock.ts';
import { LateAnswers } from './lateAnswers.ts';

const late = new LateAnswers();
let dialled: Dialled | undefined;

function service() {
  if (dialled === undefined) throw new Error('not connected');
  return dialled.client.app;
}

const NO_BOUND = 1e9;

const commands = {
  async connect({ port, bounds }: { port: number; bounds: Bounds }): Promise<void> {
    dialled = dial(port, { ...bounds, budget, clock: countingClock }, (ws) => late.attach(ws));
    unwrapOrThrow(await service().echo.rpc(small(0)));
  },
  /**
   * Messages a second from the server, acknowledged `lag` messages late. The time begins when as many have come, and
   * so the first of them were acknowledged.
   */
  async download({ ms, lag, runUp }: { ms: number; lag: number; runUp: number }): Promise<number> {
    const from = lag + runUp;
    let received = 0;
    let startedAt = 0;
    const { resReadable } = service().download.subscribe({ ms, messages: NO_BOUND, heeds: true });
    for await (const result of resReadable) {
      unwrapOrThrow(result);
      received += 1;
      if (received === 1) late.lagBehind(lag);
      late.add();
      if (received === from) startedAt = performance.now();
    }
    const took = performance.now() - startedAt;
    late.lagBehind(0);
    if (startedAt === 0) throw new Error(`only ${received} messages came, and ${from} do not count`);
    return (received - from) / (took / 1_000);
  },
  /** Leaves calls open, of which nothing more is heard. */
  async openCalls({ count }: { count: number }): Promise<void> {
    for (let i = 0; i < count; i++) await service().events.subscribe({}).resReadable[Symbol.asyncIterator]().next();
  },
  async callsPerSecond({ ms, lanes }: { ms: number; lanes: number }): Promise<number> {
    return perSecond(ms, lanes, async () => unwrapOrThrow(await service().echo.rpc(small(0))));
  },
  /** Timers that were started for so many calls, one after the other. */
  async timersOfCalls({ count }: { count: number }): Promise<number> {
    const before = timers.started;
    for (let n = 0; n < count; n++) unwrapOrThrow(await service().echo.rpc(small(n)));
    return timers.started - before;
  },
  spoken,
  talk: ({ port }: { port: number }) => talk(port),
};

/** What the client of a growth run does when told. */
export type GrowthClientCommands = typeof commands;

obey(commands);
