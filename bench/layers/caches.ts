import { Type } from '@sinclair/typebox';
import { createClient, createServer, createServiceSchema } from 'holdfast';
import { type Cache, cacheProcedures, createCache, relayCache } from 'holdfast/cache';
import { createMemoryNetwork } from 'holdfast/transport/memory';
import type { Measured } from './measured.ts';

const Doc = Type.Object({ text: Type.String() });
type Doc = { text: string };

const Service = createServiceSchema();
const servicesOf = (cache: Cache<Doc>) => ({
  docs: Service.define(cacheProcedures(cache, { value: Doc, authorize: () => true })),
});

const KEYS = Array.from({ length: 1_000 }, (_, n) => `document/${n}`);

/** An owner and so many hops after it, through sessions in memory, all of which hold every key. */
async function chainOf(hops: number): Promise<{ leaf: Cache<Doc>; close: () => Promise<void> }> {
  const network = createMemoryNetwork();
  const ends: (() => Promise<void> | void)[] = [];
  let cache = createCache<Doc>({ load: (key) => ({ text: key }) });
  for (let hop = 1; hop <= hops; hop++) {
    const before = cache;
    const server = createServer(network.createServerTransport(`before ${hop}`), servicesOf(before));
    const transport = network.createClientTransport(`hop ${hop}`);
    cache = relayCache(createClient<ReturnType<typeof servicesOf>>(transport, `before ${hop}`).docs);
    ends.unshift(
      () => transport.close(),
      () => server.close(),
      () => before.close(),
    );
  }
  const leaf = cache;
  await leaf.invalidate('none'); // resolves once all are subscribed
  for (const key of KEYS) await leaf.get(key);
  return {
    leaf,
    async close() {
      leaf.close();
      for (const end of ends) await end();
    },
  };
}

/** Reads of what a hop holds, each awaited. */
export async function reads(): Promise<Measured> {
  const { leaf, close } = await chainOf(1);
  const rounds = 500;
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round++) for (const key of KEYS) await leaf.get(key);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { hits } = leaf.stats;
  await close();
  if (hits !== rounds * KEYS.length) throw new Error(`expected ${rounds * KEYS.length} hits, got ${hits}`);
  return { perSecond: hits / seconds };
}

/** Invalidations by the last of so many hops, a hundred at a time, each confirmed. */
export async function invalidations(hops: number): Promise<Measured> {
  const { leaf, close } = await chainOf(hops);
  const atOnce = 100;
  const rounds = 100;
  const before = leaf.stats.drops;
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round++)
    await Promise.all(KEYS.slice(0, atOnce).map((key) => leaf.invalidate(key)));
  const seconds = (performance.now() - startedAt) / 1_000;
  const drops = leaf.stats.drops - before;
  await close();
  if (drops !== rounds * atOnce) throw new Error(`expected ${rounds * atOnce} values to be dropped, got ${drops}`);
  return { perSecond: drops / seconds };
}
