import type { Cache } from '../../../../../cache/cache.ts';
import { createCache } from '../../../../../cache/createCache.ts';
import { CacheEventSchema } from '../../../../../cache/messages.ts';
import { type CacheUpstream, type RelayOptions, relayCache } from '../../../../../cache/relayCache.ts';
import { createClient } from '../../../../../router/client.ts';
import { createServer } from '../../../../../router/server.ts';
import { createTopic } from '../../../../../watch/topic.ts';
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
import { DiskTopicStore } from '../../diskTopicStore.ts';
import { pauseOf } from '../pauseOf.ts';
import { type Cached, CacheUser } from './cacheUser.ts';
import { DiskCacheStore } from './diskCacheStore.ts';
import { heardLate } from './heardLate.ts';
import { type CacheServices, cacheServices, readFailed } from './services.ts';
import { cacheKeys, ToldTopic, Truth } from './truth.ts';

/** Whoever is away for a while finds a gap in a short history, and goes on where it was in a long one. */
const KEPT_EVENTS = { short: 25, long: 400 };
const MAX_READ_MS = 400;
const READ_FAILS = 0.02;
/** Of the hops so many hear late, each message by so much at most. */
const HEARS_LATE = 0.4;
const MAX_LATE_MS = 3_000;

class CachingRun implements ChainRun {
  readonly #judge: ChainJudge;
  readonly #truth = new Truth();
  readonly #users = new Map<string, CacheUser>();

  constructor(judge: ChainJudge) {
    this.#judge = judge;
  }

  startProvider(context: ProviderContext): ChainProgram {
    const { clock, disk, name, transport } = context;
    const truth = this.#truth;
    const versions = disk.table<number>('versions');
    const traits = disk.table<boolean>('traits');
    if (traits.get('isDurable') === undefined) traits.set('isDurable', clock.random() < 0.5);
    const store = traits.get('isDurable') === true ? new DiskTopicStore(disk, 'docs', clock) : undefined;
    if (disk.isRestored) {
      disk.transaction(() => {
        store?.beginAnew(clock);
        disk.setRestored(false);
      });
      truth.takenBack();
    }
    for (const key of cacheKeys) truth.write(key, versions.get(key) ?? 0);
    const published = createTopic({
      event: CacheEventSchema,
      store,
      keep: { events: clock.random() < 0.3 ? KEPT_EVENTS.short : KEPT_EVENTS.long },
      clock,
    });
    const topic = new ToldTopic(published, context.isAlive, ({ key }, position) =>
      truth.invalidatedAt(key, position, versions.get(key) ?? 0),
    );
    const cache = createCache<Cached>({
      clock,
      topic,
      load: async (key, { signal }) => {
        const version = versions.get(key) ?? 0;
        if (clock.random() < 0.5) await pauseOf(clock, clock.random() * MAX_READ_MS, signal);
        if (clock.random() < READ_FAILS) throw readFailed();
        return { version };
      },
    });
    const write = async (key: string): Promise<number> => {
      const version = (versions.get(key) ?? 0) + 1;
      if (context.isAlive()) truth.write(key, version);
      versions.set(key, version);
      return version;
    };
    const server = createServer(transport, cacheServices({ cache, write, onInvalidate: this.#counted(context) }));
    // Its own are published without any request.
    const user = this.#user(context, cache, [name], write);
    return this.#program(
      context,
      user,
      cache,
      async () => {
        await server.close();
        cache.close();
        topic.close();
      },
      () => topic.listeners,
    );
  }

  startService(context: ServiceContext): ChainProgram {
    const { name, upstream, providerId, transport } = context;
    const client = createClient<CacheServices>(upstream, providerId);
    const cache = this.#relay(context, client.docs);
    const write = async (key: string, timeoutMs?: number | undefined): Promise<number | undefined> => {
      const result = await client.docs.write.rpc({ key }, { timeoutMs: timeoutMs ?? 3_000 });
      return result.ok ? result.payload.version : undefined;
    };
    const server = createServer(transport, cacheServices({ cache, write, onInvalidate: this.#counted(context) }));
    const user = this.#user(context, cache, [name, 'provider'], write);
    return this.#program(context, user, cache, async () => {
      await server.close();
      cache.close();
    });
  }

  startLeaf(context: LeafContext): ChainProgram {
    const { name, transport, serviceId } = context;
    const client = createClient<CacheServices>(transport, serviceId);
    const cache = this.#relay(context, client.docs);
    const write = async (key: string): Promise<number | undefined> => {
      const result = await client.docs.write.rpc({ key }, { timeoutMs: 3_000 });
      return result.ok ? result.payload.version : undefined;
    };
    const user = this.#user(context, cache, [name, 'service', 'provider'], write);
    return this.#program(context, user, cache, async () => cache.close());
  }

  #user(
    context: ChainContext,
    cache: Cache<Cached>,
    path: readonly string[],
    write: (key: string) => Promise<number | undefined>,
  ): CacheUser {
    const { isFaultless } = this.#judge;
    return new CacheUser(context, { cache, truth: this.#truth, path, isFaultless, write });
  }

  /** Everybody reads what was written, unless nobody has said that it was. */
  expectSettled(): void {
    const { written, published, requests } = this.#truth;
    for (const [name, { read }] of this.#users)
      for (const key of cacheKeys) {
        const version = read.get(key) ?? -1;
        if (version < (published.get(key) ?? 0) || version > (written.get(key) ?? 0))
          this.#judge.fail(
            '15',
            `${name} reads version ${version} of ${key}; written ${written.get(key)}, invalidated ${published.get(key)}`,
          );
      }
    const unequal = this.#judge.isFaultless ? requests.unequal() : undefined;
    if (unequal !== undefined) this.#judge.fail('15', unequal);
  }

  /** Told of every request to invalidate that comes to a hop: no cache asks for what no program asked it for. */
  #counted({ name, fail }: ChainContext): (key: string) => void {
    return (key) => {
      const fault = this.#truth.requests.arrives(name, key);
      if (fault !== undefined) fail('15', fault);
    };
  }

  #relay(context: ServiceContext | LeafContext, upstream: CacheUpstream<Cached>): Cache<Cached> {
    const { clock, disk } = context;
    const keeps = this.#keeps(context);
    // Values and position are of one backup: what an older position leads to is for the cache to see.
    disk.setRestored(false);
    const dice = clock.random();
    const whenLost: RelayOptions<Cached>['whenLost'] =
      dice < 0.5 ? 'fetch' : dice < 0.8 ? { maxStaleMs: 3_000 } : 'reject';
    const isLate = clock.random() < HEARS_LATE;
    const changes = isLate ? heardLate(upstream.changes, clock, MAX_LATE_MS) : upstream.changes;
    const { get, invalidate } = upstream;
    return relayCache<Cached>(
      { get, invalidate, changes },
      {
        clock,
        whenLost,
        store: keeps ? new DiskCacheStore<Cached>(disk) : undefined,
        resyncMs: clock.random() < 0.7 ? Number.POSITIVE_INFINITY : 15_000,
        keep: { events: clock.random() < 0.3 ? KEPT_EVENTS.short : KEPT_EVENTS.long },
      },
    );
  }

  /** Whether a place keeps its values. Most of those that do always do: what is on a disk may be of long ago. */
  #keeps({ clock, disk }: ChainContext): boolean {
    const traits = disk.table<boolean>('traits');
    const keeps = traits.get('keeps') ?? clock.random() < 0.6;
    traits.set('keeps', keeps);
    return keeps && clock.random() < 0.9;
  }

  #program(
    { name }: ChainContext,
    user: CacheUser,
    cache: Cache<Cached>,
    close: () => Promise<void>,
    listeners: () => number = () => 0,
  ): ChainProgram {
    this.#users.set(name, user);
    return {
      unfinished: () => (cache.state === 'live' ? undefined : `its cache is ${cache.state}`),
      close: () => {
        user.stop();
        return close();
      },
      leftovers: () => {
        const left = user.pending + cache.stats.pending + listeners();
        return left > 0 ? `${user.pending} calls, ${cache.stats.pending} waiters, ${listeners()} listeners` : undefined;
      },
    };
  }
}

/** A cache in every process of the chain, read, written behind and invalidated from everywhere. */
export const cachingWorkload: ChainWorkload = {
  name: 'caching',
  settleMs: 40_000,
  deeds: ['invalidations that were confirmed', 'invalidations that were not confirmed'],
  begin: (judge) => new CachingRun(judge),
};
