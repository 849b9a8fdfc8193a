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
import { Board, type BoardName, type BoardSource, type Boards, boardKeys, boardNames, listenersOf } from './board.ts';
import { type BoardWatcher, EveryWay, type WatcherMaker } from './boardWatcher.ts';
import { KeyWatcher } from './keyWatcher.ts';
import { MirrorRelay } from './mirrorRelay.ts';
import { type BoardRelay, Relay } from './relay.ts';
import { accessTo, type BoardHop, type BoardServices, boardServices } from './services.ts';

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
  readonly #watcherOf: WatcherMaker;
  #boards: Boards<Board> | undefined;
  #relays: Boards<BoardRelay> | undefined;
  readonly #watchers = new Map<string, BoardWatcher>();

  constructor(judge: ChainJudge, watcherOf: WatcherMaker) {
    this.#judge = judge;
    this.#watcherOf = watcherOf;
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
    const { upstream, providerId } = context;
    const client = createClient<BoardServices>(upstream, providerId);
    const relays = { kept: relayOf(context, client, 'kept'), lost: relayOf(context, client, 'lost') };
    this.#relays = relays;
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
    const sources = { kept: relays.kept.source, lost: relays.lost.source };
    const watcher = this.#watch(context, client, sources);
    return {
      unfinished: () => waiting(watcher),
      close: async () => {
        for (const name of boardNames) relays[name].stop();
        watcher.close();
        await server.close();
        for (const name of boardNames) relays[name].close();
      },
      leftovers: () => (listenersOf(relays) > 0 ? `${listenersOf(relays)} listeners of its mirrors` : waiting(watcher)),
    };
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { clock, transport, serviceId, isBusy } = context;
    const client = createClient<BoardServices>(transport, serviceId);
    const random = randomOf(context);
    const watcher = this.#watch(context, client);
    let stop = (): void => undefined;
    const wait = (): void => {
      stop = clock.after(random.between(0, MAX_LEAF_GAP_MS), () => {
        if (!isBusy()) return;
        void markAndReach(client, watcher, random);
        wait();
      });
    };
    wait();
    return {
      close: () => {
        stop();
        watcher.close();
      },
      unfinished: () => waiting(watcher),
      leftovers: () => waiting(watcher),
    };
  }

  /** Everybody's values are those of their owner, which nobody had to ask for. */
  expectSettled(): void {
    if (this.#boards === undefined) return;
    const owners = { kept: this.#boards.kept.loaded(), lost: this.#boards.lost.loaded() };
    for (const [name, watcher] of this.#watchers) {
      const fault = watcher.behind(owners);
      if (fault !== undefined) this.#judge.fail('13', `${name}: ${fault}`);
    }
    for (const board of boardNames) {
      const fault = this.#relays?.[board].behind(owners[board]);
      if (fault !== undefined) this.#judge.fail('13', `service: ${board}: ${fault}`);
    }
  }

  #watch(context: ChainContext, client: Client<BoardServices>, sources?: Boards<BoardSource>): BoardWatcher {
    const watcher = this.#watcherOf(context, accessTo(client, sources), randomOf(context));
    this.#watchers.set(context.name, watcher);
    return watcher;
  }
}

/** What passes a board on: `mirrorTopic`, or what an application makes of the messages itself. */
function relayOf(context: ServiceContext, client: Client<BoardServices>, name: BoardName): BoardRelay {
  const { clock, fail } = context;
  const keep = { events: MIRRORED_EVENTS };
  if (clock.random() < 0.5) {
    const resyncMs = clock.random() < 0.7 ? Number.POSITIVE_INFINITY : 15_000;
    const from = clock.random() < 0.5 ? 'head' : 'start';
    return new MirrorRelay(context, client.boards[name], { keep, resyncMs, from });
  }
  return new Relay(client.boards[name], clock, {
    keptEvents: MIRRORED_EVENTS,
    onFault: (error) => fail('13', `its mirror of '${name}' refuses: ${String(error)}`),
  });
}

function waiting({ waiting: count }: BoardWatcher): string | undefined {
  return count > 0 ? `${count} wait for positions` : undefined;
}

async function markAndReach(client: Client<BoardServices>, watcher: BoardWatcher, random: Random): Promise<void> {
  const board = random.pick(boardNames);
  const result = await client.boards.mark.rpc({ board, keys: someKeys(random) }, { timeoutMs: 5_000 });
  if (result.ok) await watcher.reach(board, result.payload);
}

/** Topics of the provider, mirrored by the service, and watched by the leaves in every way there is. */
export const watchingWorkload: ChainWorkload = {
  name: 'watching',
  // The longest wait between two attempts, and a load or two.
  settleMs: 40_000,
  deeds: ['events that came through a mirror', 'gaps of a mirror'],
  begin: (judge) => new WatchingRun(judge, (...args) => new EveryWay(...args)),
};

/** The same, watched by key: keys are added and removed while everything else happens. */
export const keysWorkload: ChainWorkload = {
  ...watchingWorkload,
  name: 'keys',
  deeds: [
    'keys added',
    'keys added while the subscription was lost',
    'keys removed',
    'keys removed that were not live',
  ],
  begin: (judge) => new WatchingRun(judge, (...args) => new KeyWatcher(...args)),
};
