import { describe, expect, test } from 'vitest';
import { relayCache } from '../../cache/relayCache.ts';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { reachOf } from '../support/importGraph.ts';
import { publishedSources } from '../support/sources.ts';
import { Chain, type DocServices, docServices } from './support/chain.ts';

describe('no event causes a request', () => {
  test('what applies an event reaches nothing that could send one', () => {
    const sources = publishedSources();
    const reach = reachOf('cache/applier.ts', sources);
    const ours = [...reach.files]
      .filter((path) => path.startsWith('cache/'))
      .map((path) => path.slice('cache/'.length));
    expect(ours.sort()).toEqual([
      'applier.ts',
      'contents.ts',
      'errors.ts',
      'flights.ts',
      'held.ts',
      'limits.ts',
      'line.ts',
      'messages.ts',
      'store.ts',
    ]);
    for (const file of ours)
      expect(sources.get(`cache/${file}`)).not.toMatch(/\.rpc\b|\.subscribe\b|TopicClient|Upstream\b/);
    // The pattern finds what it is to find.
    expect(sources.get('cache/relayCache.ts')).toMatch(/\.rpc\b/);
  });

  test('as many invalidations arrive at the owner as were asked for, and as many at each hop as came through it', async () => {
    await using chain = await Chain.create({ nodes: 5 });
    const calls = [3, 1, 4, 1, 5];
    for (const [hop, count] of calls.entries())
      for (let n = 0; n < count; n++) await chain.node(hop).cache.invalidate(`key ${n}`);
    chain.node(3).link?.hardDisconnect();
    await chain.advance(10_000);
    await chain.leaf.invalidate('key 0');
    await chain.settled();
    const through = (hop: number) => calls.slice(hop).reduce((sum, count) => sum + count, 1);
    expect(chain.nodes.map(({ cache }) => cache.stats.invalidations)).toEqual(calls.map((_, hop) => through(hop)));
    expect(chain.owner.position?.offset).toBe(through(0));
    // And nobody went to fetch what was dropped.
    expect(chain.nodes.map(({ cache }) => cache.stats.fetches)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('a cache that is its own upstream, by mistake', () => {
  async function circle() {
    const h = await createHarness({ transport: 'memory', codec: JsonCodec });
    const clock = h.clock;
    const docsOf = (server: string) => createClient<DocServices>(h.client({}, `to-${server}`), server).docs;
    const options = { clock, fetchTimeoutMs: 2_000 };
    const caches = [relayCache(docsOf('B'), options), relayCache(docsOf('A'), options)] as const;
    const servers = [
      createServer(h.server({}, 'A'), docServices(caches[0])),
      createServer(h.server({}, 'B'), docServices(caches[1])),
    ];
    const requests = () => caches.map(({ stats }) => stats.fetches + stats.invalidations);
    return {
      h,
      cache: caches[0],
      caches,
      requests,
      async [Symbol.asyncDispose]() {
        for (const server of servers) await server.close();
        await h.settled();
        for (const cache of caches) cache.close();
        await h[Symbol.asyncDispose]();
      },
    };
  }

  test('ends an invalidation after a bounded number of hops, and says what is wrong', async () => {
    await using ring = await circle();
    await expect(ring.cache.invalidate('a')).rejects.toMatchObject({ code: 'CACHE_LOOP' });
    expect(ring.requests()).toEqual([17, 16]); // 32 hops, and the call itself
  });

  test('ends a fresh get in the same way, and any other by its timeout', async () => {
    await using ring = await circle();
    await expect(ring.cache.get('a', { fresh: true })).rejects.toMatchObject({ code: 'CACHE_LOOP' });
    const before = ring.requests();
    const ended = expect(ring.cache.get('b')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await ring.h.advance(2_000);
    await ended;
    expect(ring.requests().map((count, index) => count - (before[index] ?? 0))).toEqual([1, 1]);
  });

  test('is never live, and no reset goes round', async () => {
    await using ring = await circle();
    await ring.h.advance(60_000);
    expect(ring.caches.map(({ state, stats }) => [state, stats.clears])).toEqual([
      ['connecting', 0],
      ['connecting', 0],
    ]);
  });
});
