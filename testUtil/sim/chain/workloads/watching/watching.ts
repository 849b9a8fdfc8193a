import { createClient } from '../../../../../router/client.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { createServer } from '../../../../../router/server.ts';
import type { Permission } from '../../../../../watch/authorization.ts';
import { Random } from '../../../engine/random.ts';
import type {
  ChainContext,
  ChainJudge,
  ChainProgram,
  ChainRun,
  ChainWorkload,
  LeafContext,
  ProviderContext,
  ServiceContext,
} from '../../chainWorkload.ts';
import { pauseOf } from '../pauseOf.ts';
import { Board, type BoardName, type Boards, boardKeys, listenersOf } from './board.ts';
import { LeafWatch, watchKinds } from './leafWatch.ts';
import { Relay } from './relay.ts';
import { type BoardHop, type BoardServices, boardServices } from './services.ts';

const boardNames: readonly [BoardName, BoardName] = ['kept', 'lost'];

/** Between two publications of the provider, at most; */
const MAX_GAP_MS = 900;
/** between two of a leaf. */
const MAX_LEAF_GAP_MS = 3_000;
/** A mirror keeps less than its topic. */
const MIRRORED_EVENTS = 20;
/** More than any history here keeps. */
const LARGE_BURST = 45;

/** Permits everything, some of it after a while. */
async function permit({ clock }: ChainContext): Promise<Permission> {
  if (clock.random() < 0.2) await pauseOf(clock, clock.random() * 300);
  return true;
}

function randomOf({ clock }: ChainContext): Random {
  return new Random(clock.random() * 2 ** 32);
}

function someKeys(random: Random): string[] {
  const count = random.chance(0.03) ? LARGE_BURST : random.integer(1, 6);
  return Array.from({ length: count }, () => random.pick(boardKeys));
}

/** Serves the boards of a hop. What it returns closes that. */
function serve(context: ProviderContext | ServiceContext, hop: BoardHop) {
  const services = boardServices(hop);
  const server = createServer(context.transport, services);
  return { server, services };
}

class WatchingRun implements ChainRun {
  readonly #judge: ChainJudge;
  #boards: Boards<Board> | undefined;
  readonly #leaves = new Map<string, readonly LeafWatch[]>();

  constructor(judge: ChainJudge) {
    this.#judge = judge;
  }

  startProvider(context: ProviderContext): ChainProgram {
    const { clock, isBusy } = context;
    const boards = { kept: new Board(context, 'kept', true), lost: new Board(context, 'lost', false) };
    this.#boards = boards;
    const random = randomOf(context);
    const { server, services } = serve(context, {
      sources: { kept: boards.kept.source, lost: boards.lost.source },
      authorize: () => permit(context),
      load: async (board) => boards[board].loaded(),
      mark: async (board, keys) => {
        boards[board].mark(keys);
        return boards[board].loaded();
      },
    });
    let stop = (): void => undefined;
    const wait = (): void => {
      stop = clock.after(random.between(0, MAX_GAP_MS), () => {
        if (!isBusy()) return;
        boards[random.pick(boardNames)].mark(someKeys(random));
        if (random.chance(0.02)) void services.boards.procedures[random.pick(boardNames)].reauthorize();
        wait();
      });
    };
    wait();
    return {
      close: async () => {
        stop();
        await server.close();
        for (const name of boardNames) boards[name].close();
      },
      leftovers: () => (listenersOf(boards) > 0 ? `${listenersOf(boards)} listeners of its topics` : undefined),
    };
  }

  startService(context: ServiceContext): ChainProgram {
    const { clock, upstream, providerId, fail } = context;
    const client = createClient<BoardServices>(upstream, providerId);
    const relayOf = (name: BoardName): Relay =>
      new Relay(client.boards[name], clock, {
        keptEvents: MIRRORED_EVENTS,
        onFault: (error) => fail('13', `its mirror of '${name}' refuses: ${String(error)}`),
      });
    const relays = { kept: relayOf('kept'), lost: relayOf('lost') };
    const { server } = serve(context, {
      sources: { kept: relays.kept.source, lost: relays.lost.source },
      authorize: () => permit(context),
      load: async (board, options) => {
        const result = await client.boards.load.rpc({ board }, options);
        return result.ok ? result.payload : undefined;
      },
      mark: async (board, keys, options) => {
        const result = await client.boards.mark.rpc({ board, keys: [...keys] }, options);
        return result.ok ? result.payload : undefined;
      },
    });
    return {
      close: async () => {
        for (const name of boardNames) relays[name].stop();
        await server.close();
        for (const name of boardNames) relays[name].mirror.close();
      },
      leftovers: () => (listenersOf(relays) > 0 ? `${listenersOf(relays)} listeners of its mirrors` : undefined),
    };
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { clock, transport, serviceId, isBusy } = context;
    const client = createClient<BoardServices>(transport, serviceId);
    const random = randomOf(context);
    const watches: LeafWatch[] = [];
    for (const board of boardNames)
      for (const kind of watchKinds) {
        const resyncMs = random.pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 15_000]);
        const savedAs = random.chance(0.5) ? `${board} ${kind}` : undefined;
        if (random.chance(0.6)) watches.push(new LeafWatch(context, client, { board, kind, resyncMs, savedAs }));
      }
    this.#leaves.set(context.name, watches);
    let stop = (): void => undefined;
    const wait = (): void => {
      stop = clock.after(random.between(0, MAX_LEAF_GAP_MS), () => {
        if (!isBusy()) return;
        void this.#markAndReach(client, watches, random);
        wait();
      });
    };
    wait();
    const waiting = (): string | undefined => {
      const count = watches.reduce((sum, one) => sum + one.waiting, 0);
      return count > 0 ? `${count} wait for positions` : undefined;
    };
    return {
      close: () => {
        stop();
        for (const one of watches) one.dispose();
      },
      unfinished: waiting,
      leftovers: waiting,
    };
  }

  /** Every leaf's values are those of their owner, which nobody had to ask for. */
  expectSettled(): void {
    for (const [name, watches] of this.#leaves) {
      for (const one of watches) {
        const owner = this.#boards?.[one.options.board].loaded();
        const fault = owner === undefined ? undefined : one.behind(owner);
        if (fault !== undefined) this.#judge.fail('13', `${name}: ${fault}`);
      }
    }
  }

  async #markAndReach(client: Client<BoardServices>, watches: readonly LeafWatch[], random: Random): Promise<void> {
    const board = random.pick(boardNames);
    const result = await client.boards.mark.rpc({ board, keys: someKeys(random) }, { timeoutMs: 5_000 });
    if (!result.ok) return;
    await Promise.all(watches.filter(({ options }) => options.board === board).map((one) => one.reach(result.payload)));
  }
}

/** Topics of the provider, mirrored by the service, and watched by the leaves in every way there is. */
export const watchingWorkload: ChainWorkload = {
  name: 'watching',
  // The longest wait between two attempts, and a load or two.
  settleMs: 40_000,
  begin: (judge) => new WatchingRun(judge),
};
