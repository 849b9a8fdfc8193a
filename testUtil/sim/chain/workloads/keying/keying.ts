import { createClient } from '../../../../../router/client.ts';
import type { IdempotencyOptions } from '../../../../../router/keyedCalls.ts';
import { MemoryIdempotencyStore } from '../../../../../router/memoryIdempotencyStore.ts';
import { createServer } from '../../../../../router/server.ts';
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
import { DiskIdempotencyStore } from './diskIdempotencyStore.ts';
import { OrderingLeaf } from './orderingLeaf.ts';
import { type Hop, OrderTruth } from './orderTruth.ts';
import { keyOf, type Onward, type OrderServices, orderServices } from './services.ts';

const SHORT_TTL_MS = 5_000;
const TTL_MS = 60_000;

class KeyingRun implements ChainRun {
  readonly #judge: ChainJudge;
  readonly #truth = new OrderTruth();
  /** Hops whose disks were restored from a backup. */
  readonly #restored = new Set<Hop>();
  #ttlMs: number | undefined;

  constructor(judge: ChainJudge) {
    this.#judge = judge;
  }

  startProvider(context: ProviderContext): ChainProgram {
    return this.#serve(context, 'provider', async () => undefined);
  }

  startService(context: ServiceContext): ChainProgram {
    const client = createClient<OrderServices>(context.upstream, context.providerId);
    return this.#serve(context, 'service', async (order, options) => {
      const result = await client.orders.place.rpc(order, { ...options, idempotencyKey: keyOf(order) });
      return result.ok ? undefined : result.payload.code;
    });
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { isFaultless } = this.#judge;
    return new OrderingLeaf(context, { truth: this.#truth, ttlMs: this.#ttl(context), isFaultless });
  }

  #serve(context: ProviderContext | ServiceContext, hop: Hop, onward: Onward): ChainProgram {
    const { store, isKeeping } = this.#storeOf(context, hop);
    const truth = this.#truth;
    truth.lives(hop, isKeeping);
    const services = orderServices(context, hop, truth, onward);
    const server = createServer(context.transport, services, { idempotency: { store, ttlMs: this.#ttl(context) } });
    return {
      close: () => {
        truth.lives(hop, isKeeping);
        return server.close();
      },
      leftovers: () => (server.openCalls + server.running > 0 ? `${server.openCalls} calls` : undefined),
    };
  }

  /** On a disk or in memory: a trait of the place. */
  #storeOf({ disk, clock }: ChainContext, hop: Hop): { store: IdempotencyOptions['store']; isKeeping: boolean } {
    const traits = disk.table<boolean>('traits');
    const isDurable = traits.get('isDurable') ?? clock.random() < 0.6;
    if (traits.get('isDurable') === undefined) traits.set('isDurable', isDurable);
    if (disk.isRestored) this.#restored.add(hop);
    const isRestored = disk.isRestored;
    disk.setRestored(false);
    if (!isDurable) return { store: new MemoryIdempotencyStore({ clock }), isKeeping: false };
    const store = new DiskIdempotencyStore(disk, clock);
    if (isRestored) store.beginAnew();
    return { store, isKeeping: !this.#restored.has(hop) };
  }

  /** One for all of a run. */
  #ttl({ clock }: ChainContext): number {
    this.#ttlMs ??= clock.random() < 0.2 ? SHORT_TTL_MS : TTL_MS;
    return this.#ttlMs;
  }
}

/** Calls with idempotency keys through both hops, whose outcomes are kept in memory or on a disk. */
export const keyingWorkload: ChainWorkload = {
  name: 'keying',
  settleMs: 40_000,
  deeds: [
    'orders that were placed',
    'orders that ended with OUTCOME_UNKNOWN',
    'orders that ended with NOT_PLACED',
    'orders that ended with IDEMPOTENCY_KEY_REUSED',
    'orders that ended with IDEMPOTENCY_UNSUPPORTED',
    'keys used for something else',
  ],
  begin: (judge) => new KeyingRun(judge),
};
