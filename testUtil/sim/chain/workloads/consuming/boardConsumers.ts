import type { Consumer } from '../../../../../consume/consumer.ts';
import { createEngine, type Engine } from '../../../../../consume/engine.ts';
import { SourceError } from '../../../../../consume/errors.ts';
import type { TopicClient } from '../../../../../watch/attempt.ts';
import { Random } from '../../../engine/random.ts';
import type { ChainContext } from '../../chainWorkload.ts';
import type { Disk } from '../../disk.ts';
import { DiskCheckpointStore } from '../../diskCheckpointStore.ts';
import { pauseOf } from '../pauseOf.ts';
import type { BoardEvent, LoadedBoard } from '../watching/board.ts';
import { faultOfOrder, type LastEffect, type OutsideWorld } from './effects.ts';
import type { BoardFeed, FeedMaker } from './feeds.ts';

const ENGINE = 'board';
/** Of handlers so many fail, after half of what they do. */
const FAILS = 0.03;
const MAX_HANDLING_MS = 60;

/** What the consumers of a place have done outside of it, by their names. */
export interface OutsideWorlds {
  readonly repeated: OutsideWorld;
  readonly dared: OutsideWorld;
}

/**
 * Three consumers of a board that is followed over a client: `tally` has its effects on the disk with its position,
 * `repeated` outside at least once, `dared` outside at most once.
 */
export class BoardConsumers {
  readonly feed: BoardFeed;
  readonly #context: ChainContext;
  readonly #store: DiskCheckpointStore;
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #worlds: OutsideWorlds;
  #isClosed = false;

  constructor(context: ChainContext, client: TopicClient<BoardEvent>, worlds: OutsideWorlds, feedOf: FeedMaker) {
    const { clock, disk } = context;
    this.#context = context;
    this.#worlds = worlds;
    this.#random = new Random(clock.random() * 2 ** 32);
    this.#store = new DiskCheckpointStore(disk);
    const seen = this.#store.list(ENGINE).flatMap(({ position }) => (position === undefined ? [] : [position]));
    this.feed = feedOf(context, client, seen);
    this.#engine = createEngine<BoardEvent, Disk>({
      source: this.feed.relay.source,
      store: this.#store,
      name: ENGINE,
      clock,
      batchSize: 8,
      retry: { baseMs: 100, maxMs: 2_000 },
      leaseMs: 3_000,
      consumers: [this.#tally(), this.#repeated(), this.#dared()],
    });
    void this.#start();
  }

  /** What is wrong when everything should have arrived, if anything. */
  behind(owner: LoadedBoard): string | undefined {
    for (const { id, status, position, error } of this.#store.list(ENGINE)) {
      const isThere = position?.epoch === owner.position.epoch && position.offset === owner.position.offset;
      if (status === 'active' && isThere) continue;
      const where = position === undefined ? 'nowhere' : `at ${position.offset} of ${position.epoch}`;
      return `consumer '${id}' is ${status}, ${where}, its source at ${owner.position.offset} of ${owner.position.epoch} (${error?.message})`;
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.feed.stop();
    this.feed.relay.close();
    await this.#engine.close();
  }

  async #start(): Promise<void> {
    await this.feed.ready;
    if (this.#isClosed || this.feed.isStopped) return;
    this.#engine.follow();
    this.#engine.boot().catch((error: unknown) => {
      // Who follows tries again what the hop before could not be asked for.
      if (!this.#isClosed && !(error instanceof SourceError))
        this.#context.fail('14', `could not boot: ${String(error)}`);
    });
  }

  #gaps(id: string): number {
    return this.#store.load(ENGINE, id)?.gaps ?? 0;
  }

  #tally(): Consumer<BoardEvent, Disk> {
    const id = 'tally';
    return {
      id,
      onGap: 'skip-to-oldest',
      handle: (event, _position, disk) => {
        const times = disk.table<number>('times');
        const lasts = disk.table<LastEffect>('lasts');
        const key = `${event.run} ${event.n}`;
        const fault = faultOfOrder(lasts.get(id), event, this.#store.load(ENGINE, id), false);
        if (fault !== undefined) this.#context.fail('14', `'${id}': ${fault}`);
        const count = (times.get(key) ?? 0) + 1;
        if (count > 1) this.#context.fail('14', `'${id}' had the effect of event ${event.n} ${count} times`);
        times.set(key, count);
        if (this.#random.chance(FAILS)) throw new Error('fails now and then');
        lasts.set(id, { run: event.run, n: event.n, gaps: this.#gaps(id) });
      },
    };
  }

  #repeated(): Consumer<BoardEvent, Disk> {
    const id = 'repeated';
    const world = this.#worlds[id];
    return {
      id,
      effects: 'at-least-once',
      onGap: 'skip-to-oldest',
      handle: async (event, _position, { signal }) => {
        await this.#takesItsTime(signal);
        if (signal.aborted || !this.#context.isAlive()) return;
        const fault = faultOfOrder(world.last, event, this.#store.load(ENGINE, id), true);
        if (fault !== undefined) this.#context.fail('14', `'${id}': ${fault}`);
        world.happens(event, this.#gaps(id));
      },
    };
  }

  #dared(): Consumer<BoardEvent, Disk> {
    const id = 'dared';
    return {
      id,
      effects: 'at-most-once',
      onGap: 'skip-to-oldest',
      handle: async (event, _position, { signal }) => {
        if (!this.#context.isAlive()) return;
        const times = this.#worlds[id].happens(event, this.#gaps(id));
        if (times > 1) this.#context.fail('14', `'${id}' had the effect of event ${event.n} ${times} times`);
        await this.#takesItsTime(signal);
      },
    };
  }

  async #takesItsTime(signal: AbortSignal): Promise<void> {
    if (this.#random.chance(0.3)) await pauseOf(this.#context.clock, this.#random.between(0, MAX_HANDLING_MS), signal);
    if (this.#random.chance(FAILS)) throw new Error('fails now and then');
  }
}
