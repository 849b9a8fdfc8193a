import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CacheStore } from '../../cache/store.ts';
import { Chain, type Doc } from './support/chain.ts';
import { lastingStore } from './support/lastingStore.ts';

const KEYS = ['a', 'b'];

type Command =
  | { do: 'get' | 'fresh' | 'update'; node: number; key: number }
  | { do: 'write'; key: number }
  | { do: 'cut' | 'unplug' | 'plug' | 'hardDisconnect' | 'restart'; node: number }
  | { do: 'slow'; ms: number }
  | { do: 'turns'; count: number }
  | { do: 'advance'; ms: number };

const node = fc.integer({ min: 0, max: 2 });
const key = fc.integer({ min: 0, max: KEYS.length - 1 });
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('get' as const), node, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fresh' as const), node, key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('update' as const), node, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('write' as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('cut' as const, 'unplug' as const, 'plug' as const, 'hardDisconnect' as const),
      node,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('slow' as const), ms: fc.constantFrom(0, 3, 400) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.integer({ min: 0, max: 8 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 250, 3_000, 40_000) }),
  },
);

/** A lasting store per node; what it holds outlives the caches that are made over it. */
function lastingStores(): (index: number) => CacheStore<Doc> {
  const stores = [0, 1, 2].map(() => lastingStore().store);
  return (index) => stores[index] ?? new Map();
}

/** Carries commands out, and holds every answer against what was confirmed before it was asked for. */
class Run {
  readonly chain: Chain;
  readonly #running = new Set<Promise<unknown>>();
  /** By node and key: what was written before an invalidation that is confirmed for this node. */
  readonly #confirmed = new Map<string, number>();
  readonly violations: string[] = [];
  answers = 0;
  confirmations = 0;

  constructor(chain: Chain) {
    this.chain = chain;
  }

  async do(step: Command): Promise<void> {
    const { chain } = this;
    switch (step.do) {
      case 'get':
      case 'fresh':
        return this.get(step.node, KEYS[step.key] ?? '', step.do === 'fresh');
      case 'update':
        return this.update(step.node, KEYS[step.key] ?? '');
      case 'write':
        this.#write(KEYS[step.key] ?? '');
        return;
      case 'cut':
        return chain.node(step.node).harness.link.cut();
      case 'unplug':
      case 'plug':
        return chain.node(step.node).harness.link.setReachable(step.do === 'plug');
      case 'hardDisconnect':
        return chain.node(step.node).link?.hardDisconnect();
      case 'restart': {
        const restarting = chain.restart(step.node);
        await chain.advance(1_100); // what its server waits for its handlers
        return restarting;
      }
      case 'slow':
        chain.beforeLoaded = () =>
          step.ms === 0 ? undefined : new Promise((resolve) => chain.clock.after(step.ms, resolve));
        return;
      case 'turns':
        for (let turn = 0; turn < step.count; turn++) await new Promise((resolve) => setImmediate(resolve));
        return;
      case 'advance':
        return chain.advance(step.ms);
      default:
        return step satisfies never;
    }
  }

  get(at: number, name: string, fresh: boolean): void {
    const least = this.#confirmed.get(`${at} ${name}`) ?? 0;
    this.#track(
      this.chain
        .node(at)
        .cache.get(name, { fresh, timeoutMs: 20_000 })
        .then(({ n }) => {
          this.answers += 1;
          if (n < least) this.violations.push(`node ${at} served ${name} = ${n}, ${least} was confirmed before`);
        }),
    );
  }

  update(at: number, name: string): void {
    const n = this.#write(name);
    this.#track(
      this.chain
        .node(at)
        .cache.invalidate(name, { timeoutMs: 20_000 })
        .then(() => {
          this.confirmations += 1;
          for (let hop = 0; hop <= at; hop++) {
            const place = `${hop} ${name}`;
            this.#confirmed.set(place, Math.max(n, this.#confirmed.get(place) ?? 0));
            this.get(hop, name, false);
          }
        }),
    );
  }

  /** Heals everything. Resolves once all is quiet. */
  async heal(): Promise<void> {
    this.chain.beforeLoaded = () => undefined;
    for (const { harness } of this.chain.nodes) harness.link.setReachable(true);
    await this.chain.advance(120_000);
    while (this.#running.size > 0) await Promise.all([...this.#running, this.chain.advance(30_000)]);
  }

  #write(name: string): number {
    const n = (this.chain.truth.get(name) ?? 0) + 1;
    this.chain.write(name, n);
    return n;
  }

  #track(promise: Promise<unknown>): void {
    const tracked: Promise<unknown> = promise
      .catch(() => undefined) // not answered, not confirmed: that is honest
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }
}

test.each([
  ['in memory', false],
  ['that last', true],
])(
  'with stores %s: whatever happens, nothing is served that an invalidation was confirmed to have dropped',
  async (_what, isLasting) => {
    let answers = 0;
    let confirmations = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
        await using chain = await Chain.create({
          relays: { keep: { events: 4 }, fetchTimeoutMs: 15_000, resyncMs: 20_000 },
          ...(isLasting && { storeOf: lastingStores() }),
        });
        const run = new Run(chain);
        for (const step of commands) await run.do(step);
        await run.heal();
        answers += run.answers;
        confirmations += run.confirmations;
        expect(run.violations).toEqual([]);
        // Quiet: every cache is live, and after one more word of the owner all say what is true.
        expect(chain.nodes.map(({ cache }) => [cache.state, cache.stats.pending])).toEqual(
          chain.nodes.map(() => ['live', 0]),
        );
        for (const name of KEYS) await chain.owner.invalidate(name);
        await chain.settled();
        for (const name of KEYS)
          for (const { cache } of [...chain.nodes].reverse())
            expect(await cache.get(name)).toEqual({ n: chain.truth.get(name) ?? 0 });
      }),
      { numRuns: 40 },
    );
    // It was about something.
    expect(answers).toBeGreaterThan(200);
    expect(confirmations).toBeGreaterThan(60);
  },
  120_000,
);
