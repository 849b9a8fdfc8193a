import { createClient } from '../../../../../router/client.ts';
import { createServer } from '../../../../../router/server.ts';
import { Random } from '../../../engine/random.ts';
import type {
  ChainJudge,
  ChainProgram,
  ChainRun,
  ChainWorkload,
  LeafContext,
  ProviderContext,
  ServiceContext,
} from '../../chainWorkload.ts';
import { Board, boardKeys } from '../watching/board.ts';
import { type BoardServices, boardServices } from '../watching/services.ts';
import { BoardConsumers, type OutsideWorlds } from './boardConsumers.ts';
import { OutsideWorld } from './effects.ts';
import { type FeedMaker, mirrorFeed, relayFeed } from './feeds.ts';
import { OrderBook, type OrderServices, orderServices, placedOn } from './orders.ts';

const MAX_GAP_MS = 700;
const DELIVERY_MS = 400;
const MAX_OPEN_ORDERS = 20;

class ConsumingRun implements ChainRun {
  readonly #judge: ChainJudge;
  readonly #feedOf: FeedMaker;
  readonly #worlds = new Map<string, OutsideWorlds>();
  readonly #consumers = new Map<string, BoardConsumers>();
  readonly #books = new Map<string, OrderBook>();
  #board: Board | undefined;
  /** The service's disk was restored: what it had confirmed may be gone. */
  #hasLostOrders = false;

  constructor(judge: ChainJudge, feedOf: FeedMaker) {
    this.#judge = judge;
    this.#feedOf = feedOf;
  }

  startProvider(context: ProviderContext): ChainProgram {
    const { clock, isBusy, transport } = context;
    const kept = new Board(context, 'kept', true);
    const lost = new Board(context, 'lost', false);
    this.#board = kept;
    const random = new Random(clock.random() * 2 ** 32);
    const services = boardServices({
      sources: { kept: kept.source, lost: lost.source },
      authorize: () => true,
      load: async () => undefined,
      mark: async () => undefined,
    });
    const server = createServer(transport, services);
    let stop = (): void => undefined;
    const wait = (): void => {
      stop = clock.after(random.between(0, MAX_GAP_MS), () => {
        if (!isBusy()) return;
        kept.mark(Array.from({ length: random.integer(1, 12) }, () => random.pick(boardKeys)));
        wait();
      });
    };
    wait();
    return {
      close: async () => {
        stop();
        await server.close();
        kept.close();
        lost.close();
      },
    };
  }

  startService(context: ServiceContext): ChainProgram {
    if (context.disk.isRestored) this.#hasLostOrders = true;
    const client = createClient<BoardServices>(context.upstream, context.providerId);
    const consumers = this.#consume(context, client.boards.kept);
    const services = {
      ...boardServices({
        sources: { kept: consumers.feed.relay.source, lost: consumers.feed.relay.source },
        authorize: async () => {
          await consumers.feed.servable;
          return true;
        },
        load: async () => undefined,
        mark: async () => undefined,
      }),
      ...orderServices(context),
    };
    const server = createServer(context.transport, services);
    return {
      close: async () => {
        consumers.feed.stop();
        await server.close();
        await consumers.close();
      },
      leftovers: () => listeners(consumers),
    };
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { clock, transport, serviceId, isBusy } = context;
    const client = createClient<BoardServices & OrderServices>(transport, serviceId);
    const consumers = this.#consume(context, client.boards.kept);
    const book = new OrderBook(context, client);
    this.#books.set(context.name, book);
    const stop = clock.every(DELIVERY_MS, () => {
      if (isBusy() && book.openCount < MAX_OPEN_ORDERS && clock.random() < 0.7) book.write();
      void book.deliver();
    });
    return {
      unfinished: () => (book.openCount > 0 ? `${book.openCount} orders have no confirmation` : undefined),
      close: () => {
        stop();
        return consumers.close();
      },
      leftovers: () => listeners(consumers),
    };
  }

  /** Every consumer is where its source is, and what was confirmed was done, once. */
  expectSettled(): void {
    const owner = this.#board?.loaded();
    if (owner === undefined) return;
    for (const [name, consumers] of this.#consumers) {
      const missing = consumers.feed.relay.behind(owner);
      if (missing !== undefined) this.#judge.fail('13', `${name}: ${missing}`);
      const fault = consumers.behind(owner);
      if (fault !== undefined) this.#judge.fail('14', `${name}: ${fault}`);
    }
    if (this.#hasLostOrders) return;
    const placed = placedOn({ disk: this.#judge.diskOf('service') });
    for (const [name, { confirmed }] of this.#books)
      for (const id of confirmed)
        if (placed.get(id) !== 1)
          this.#judge.fail('14', `${name}: order ${id} was confirmed and placed ${placed.get(id) ?? 0} times`);
  }

  #consume(
    context: ServiceContext | LeafContext,
    client: ConstructorParameters<typeof BoardConsumers>[1],
  ): BoardConsumers {
    const { name, disk } = context;
    const worlds = this.#worlds.get(name) ?? { repeated: new OutsideWorld(), dared: new OutsideWorld() };
    this.#worlds.set(name, worlds);
    if (disk.isRestored) {
      worlds.repeated.forget();
      worlds.dared.forget();
      disk.setRestored(false);
    }
    const consumers = new BoardConsumers(context, client, worlds, this.#feedOf);
    this.#consumers.set(name, consumers);
    return consumers;
  }
}

function listeners({ feed }: BoardConsumers): string | undefined {
  const { listeners: count } = feed.relay.source;
  return count > 0 ? `${count} listeners of its mirror` : undefined;
}

/** Consumers in the service and in the leaves, with effects in a transaction and outside, and orders delivered again and again. */
export const consumingWorkload: ChainWorkload = {
  name: 'consuming',
  // A lease of somebody who died, a retry, and the longest wait between two attempts.
  settleMs: 20_000,
  begin: (judge) => new ConsumingRun(judge, relayFeed),
};

/** The same over `mirrorTopic`, at both hops. */
export const mirroringWorkload: ChainWorkload = {
  ...consumingWorkload,
  name: 'mirroring',
  // Nobody tells the next hop that what it was passed on is forgotten.
  spared: ['serviceRollback'],
  settleMs: 40_000,
  deeds: ['events that came through a mirror', 'gaps of a mirror'],
  begin: (judge) => new ConsumingRun(judge, mirrorFeed),
};
