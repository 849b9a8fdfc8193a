import { createClient } from '../../../../../router/client.ts';
import type { Client } from '../../../../../router/clientTypes.ts';
import { createServer } from '../../../../../router/server.ts';
import type { Permission } from '../../../../../watch/authorization.ts';
import { createCollection, type TypedCollection } from '../../../../../watch/collection.ts';
import { mirrorTopic } from '../../../../../watch/mirrorTopic.ts';
import type { Position } from '../../../../../watch/position.ts';
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
import { CountedSource } from '../countedSource.ts';
import { pauseOf } from '../pauseOf.ts';
import {
  type Move,
  passedOnServices,
  type RoomServices,
  roomServices,
  Whereabouts,
  type WhereaboutsEvent,
} from './rooms.ts';
import { RoomTruth } from './roomTruth.ts';
import { RosterWatch } from './rosterWatch.ts';

const people = ['ada', 'ben', 'cleo', 'dan', 'eve', 'fay', 'gil', 'hal', 'ida', 'jon', 'kim', 'lea'] as const;
const roomNames = ['a', 'b', 'c'] as const;
/** Short: whoever is away for a moment finds a gap. */
const KEPT_EVENTS = 30;
/** More than one page of a snapshot. */
const CROWD = 600;
const MAX_GAP_MS = 500;
const MAX_LEAF_GAP_MS = 2_500;

async function permit({ clock }: ChainContext): Promise<Permission> {
  if (clock.random() < 0.2) await pauseOf(clock, clock.random() * 300);
  return true;
}

function someMove(random: Random): Move {
  const who = random.pick(people);
  return random.chance(0.4) ? { who } : { who, room: random.pick(roomNames) };
}

class CollectingRun implements ChainRun {
  readonly #judge: ChainJudge;
  readonly #truth = new RoomTruth();
  readonly #watches = new Map<string, readonly RosterWatch[]>();

  constructor(judge: ChainJudge) {
    this.#judge = judge;
  }

  startProvider(context: ProviderContext): ChainProgram {
    const { clock, transport } = context;
    const random = new Random(clock.random() * 2 ** 32);
    const rooms = createCollection({ value: Whereabouts, keep: { events: KEPT_EVENTS }, clock });
    this.#note(context, rooms);
    const move = (wanted: Move): Position | undefined => this.#move(context, rooms, wanted);
    if (random.chance(0.1)) {
      for (let i = 0; i < CROWD; i++) move({ who: `bot-${i}`, room: 'a' });
      context.did('snapshots of several pages');
    }
    const server = createServer(
      transport,
      roomServices(
        rooms,
        () => permit(context),
        async (wanted) => move(wanted),
      ),
    );
    const stop = repeatedly(context, random, MAX_GAP_MS, () => {
      for (let i = random.chance(0.03) ? 2 * KEPT_EVENTS : random.integer(1, 3); i > 0; i--) move(someMove(random));
    });
    return {
      close: async () => {
        stop();
        await server.close();
        rooms.close();
      },
    };
  }

  startService(context: ServiceContext): ChainProgram {
    const { clock, transport, upstream, providerId } = context;
    const client = createClient<RoomServices>(upstream, providerId);
    const mirror = mirrorTopic<WhereaboutsEvent>(client.rooms.changes, { keep: { events: KEPT_EVENTS }, clock });
    const changes = new CountedSource<WhereaboutsEvent>(mirror);
    const server = createServer(
      transport,
      passedOnServices(client, changes, () => permit(context)),
    );
    const watches = this.#watch(context, client);
    return {
      unfinished: () => waiting(watches),
      close: async () => {
        for (const one of watches) one.dispose();
        await server.close();
        mirror.close();
      },
      leftovers: () => (changes.listeners > 0 ? `${changes.listeners} listeners of its mirror` : waiting(watches)),
    };
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { clock, transport, serviceId } = context;
    const client = createClient<RoomServices>(transport, serviceId);
    const random = new Random(clock.random() * 2 ** 32);
    const watches = this.#watch(context, client);
    const stop = repeatedly(context, random, MAX_LEAF_GAP_MS, async () => {
      const result = await client.rooms.move.rpc(someMove(random), { timeoutMs: 5_000 });
      const position = result.ok ? result.payload.position : undefined;
      if (position !== undefined) for (const one of watches) void one.reach(position);
    });
    return {
      unfinished: () => waiting(watches),
      close: () => {
        stop();
        for (const one of watches) one.dispose();
      },
      leftovers: () => waiting(watches),
    };
  }

  /** Everybody knows who is in which room. */
  expectSettled(): void {
    const { now } = this.#truth;
    if (now === undefined) return;
    for (const [name, watches] of this.#watches)
      for (const one of watches) {
        const fault = one.behind(now.position);
        if (fault !== undefined) this.#judge.fail('13', `${name}: ${fault}`);
      }
  }

  #watch(context: ChainContext, client: Client<RoomServices>): RosterWatch[] {
    const some = people.filter(() => context.clock.random() < 0.3);
    const watches = [undefined, some].map((keys) => new RosterWatch(context, this.#truth, client.rooms, keys));
    this.#watches.set(context.name, watches);
    return watches;
  }

  /** Somebody comes, or goes, or is thrown out. */
  #move(context: ChainContext, rooms: TypedCollection<typeof Whereabouts>, { who, room }: Move): Position | undefined {
    const tag = context.nextTag();
    const position = room === undefined ? rooms.delete(who) : rooms.set(who, { room, tag });
    if (position !== undefined) {
      this.#note(context, rooms);
      if (context.isBusy()) context.did(room === undefined ? 'people who went' : 'people who came');
    }
    return position;
  }

  #note({ isAlive }: ChainContext, rooms: TypedCollection<typeof Whereabouts>): void {
    if (!isAlive()) return;
    const { value, position } = rooms.snapshot();
    this.#truth.note(value, position);
  }
}

/** @returns what ends it */
function repeatedly({ clock, isBusy }: ChainContext, random: Random, mostMs: number, act: () => void): () => void {
  let stop = (): void => undefined;
  const wait = (): void => {
    stop = clock.after(random.between(0, mostMs), () => {
      if (!isBusy()) return;
      act();
      wait();
    });
  };
  wait();
  return () => stop();
}

function waiting(watches: readonly RosterWatch[]): string | undefined {
  const count = watches.reduce((sum, one) => sum + one.waiting, 0);
  return count > 0 ? `${count} wait for positions` : undefined;
}

/** Who is in which room: a collection of the provider, watched by the service and, through it, by the leaves. */
export const collectingWorkload: ChainWorkload = {
  name: 'collecting',
  settleMs: 40_000,
  deeds: ['people who came', 'people who went', 'rosters that were reset', 'snapshots of several pages'],
  begin: (judge) => new CollectingRun(judge),
};
