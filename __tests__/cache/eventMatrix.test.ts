import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CacheEventSchema } from '../../cache/messages.ts';
import { transportNames } from '../../testUtil/links.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic } from '../../watch/topic.ts';
import { temporaryFolder } from '../watch/support/stores.ts';
import { Chain, type ChainOptions } from './support/chain.ts';
import { sqliteCacheStore } from './support/sqliteStore.ts';

/** The column "cache" of the event matrix in the design: what each event looks like to a cache, cell by cell. */
describe.each(transportNames)('a cache over %s', (transport) => {
  let folder: ReturnType<typeof temporaryFolder>;
  const open: { close(): unknown }[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => {
    for (const db of open.splice(0)) db.close();
    folder.remove();
  });

  function database(name: string) {
    const db = new Database(join(folder.path, name));
    open.push(db);
    return db;
  }

  /** A chain of which every hop holds a, b and c. */
  async function filled(options: ChainOptions = {}) {
    const chain = await Chain.create({ transport, relays: { keep: { events: 5 } }, ...options });
    for (const key of ['a', 'b', 'c']) await chain.leaf.get(key);
    chain.loads = 0;
    const states: string[] = [];
    const { line } = chain.leaf.hop;
    const stop = line.onChange(() => states.push(line.state));
    return { chain, states, stop };
  }

  async function invalidate(chain: Chain, key: string, n: number): Promise<void> {
    chain.write(key, n);
    await chain.owner.invalidate(key);
  }

  test('a transparent reconnect is invisible to it', async () => {
    const { chain, states, stop } = await filled();
    await using _ = chain;
    for (const { harness } of chain.nodes) harness.link.cut();
    await invalidate(chain, 'a', 1);
    await chain.advance(3_000);
    expect([states, chain.leaf.stats.clears, chain.leaf.position]).toEqual([[], 1, chain.owner.position]);
    expect([await chain.leaf.get('a'), await chain.leaf.get('b'), chain.loads]).toEqual([{ n: 1 }, { n: 0 }, 1]);
    stop();
  });

  test.each([1, 2])('after a hard reconnect of node %i inside the history what was not named is kept', async (node) => {
    const { chain, states, stop } = await filled();
    await using _ = chain;
    chain.node(node).link?.hardDisconnect();
    for (const n of [1, 2, 3]) await invalidate(chain, 'a', n);
    await chain.advance(3_000);
    // The leaf hears of it wherever it happened.
    expect(states).toEqual(['lost', 'live']);
    expect([chain.leaf.stats.clears, chain.leaf.position]).toEqual([1, chain.owner.position]);
    expect([await chain.leaf.get('a'), await chain.leaf.get('b'), chain.loads]).toEqual([{ n: 3 }, { n: 0 }, 1]);
    stop();
  });

  test.each([1, 2])(
    'after a hard reconnect of node %i outside the history it is cleared, and so is what follows it',
    async (node) => {
      const topic = (chain: Chain) => createTopic({ event: CacheEventSchema, keep: { events: 5 }, clock: chain.clock });
      const { chain, stop } = await filled();
      await using _ = chain;
      await chain.restart(0, { topic: topic(chain) });
      await chain.advance(5_000);
      for (const key of ['a', 'b', 'c']) await chain.leaf.get(key);
      const { clears } = chain.leaf.stats;
      const { fetches } = chain.node(1).cache.stats;
      chain.loads = 0;
      chain.node(node).link?.hardDisconnect();
      for (let n = 1; n <= 9; n++) await invalidate(chain, 'a', n);
      await chain.advance(3_000);
      expect([chain.leaf.state, chain.leaf.stats.clears, chain.leaf.position]).toEqual([
        'live',
        clears + 1,
        chain.owner.position,
      ]);
      expect([await chain.leaf.get('a'), await chain.leaf.get('b')]).toEqual([{ n: 9 }, { n: 0 }]);
      // b was asked of the hop before, which has it still if it was not the one that had missed something.
      expect([chain.loads, chain.leaf.stats.fetches]).toEqual([1, 8]);
      expect(chain.node(1).cache.stats.fetches - fetches).toEqual(node === 1 ? 2 : 1);
      stop();
    },
  );

  test('when the owner restarts with a topic in memory, every hop is cleared', async () => {
    const { chain, stop } = await filled();
    await using _ = chain;
    const epoch = chain.leaf.position?.epoch;
    await chain.stop(0);
    chain.write('a', 1); // while nobody was there to say so
    chain.begin(0);
    await chain.advance(5_000);
    expect([chain.leaf.state, chain.leaf.position]).toEqual(['live', chain.owner.position]);
    expect(chain.leaf.position?.epoch).not.toBe(epoch);
    expect([await chain.leaf.get('a'), await chain.leaf.get('b'), chain.loads]).toEqual([{ n: 1 }, { n: 0 }, 2]);
    stop();
  });

  test('when the owner restarts with a durable topic, every hop keeps what was not named', async () => {
    const db = database('topic.db');
    const durable = (chain: Chain) =>
      createTopic({
        event: CacheEventSchema,
        store: new SqliteTopicStore(db, { name: 'docs' }),
        clock: chain.clock,
      });
    const { chain, stop } = await filled();
    await using _ = chain;
    await chain.restart(0, { topic: durable(chain) });
    await chain.advance(5_000);
    for (const key of ['a', 'b', 'c']) await chain.leaf.get(key);
    chain.loads = 0;
    const { clears } = chain.leaf.stats;
    await chain.stop(0);
    const topic = durable(chain);
    chain.write('a', 1);
    topic.publish({ key: 'a' }); // before anybody is served
    chain.begin(0, { topic });
    await chain.advance(5_000);
    expect([chain.leaf.state, chain.leaf.stats.clears, chain.leaf.position]).toEqual(['live', clears, topic.head()]);
    expect([await chain.leaf.get('a'), await chain.leaf.get('b'), chain.loads]).toEqual([{ n: 1 }, { n: 0 }, 1]);
    stop();
    topic.close();
  });

  test('after its own restart it is empty', async () => {
    const { chain, stop } = await filled();
    await using _ = chain;
    stop();
    await chain.restart(2);
    await chain.settled();
    expect([await chain.leaf.get('b'), chain.leaf.stats.fetches, chain.loads]).toEqual([{ n: 0 }, 1, 0]);
  });

  test.each([1, 2])(
    'after its own restart node %i keeps what a lasting store holds, if nothing was missed',
    async (node) => {
      const { chain, stop } = await filled({
        storeOf: (index) => (index === node ? sqliteCacheStore(database('values.db')) : undefined),
      });
      await using _ = chain;
      stop();
      await chain.stop(node);
      await invalidate(chain, 'a', 1);
      chain.begin(node);
      const { cache } = chain.node(node);
      expect(cache.state).toBe('connecting');
      // Nothing of it is served before it is known that nothing was missed.
      expect(await cache.get('a')).toEqual({ n: 1 });
      await chain.advance(5_000);
      expect([cache.state, cache.stats.clears, cache.position]).toEqual(['live', 0, chain.owner.position]);
      const { fetches } = cache.stats;
      expect([await cache.get('a'), await cache.get('b'), await cache.get('c')]).toEqual([
        { n: 1 },
        { n: 0 },
        { n: 0 },
      ]);
      expect(cache.stats.fetches - fetches).toBeLessThanOrEqual(1); // a, if its event came after it was fetched
    },
  );

  test('after its own restart a lasting store is cleared if something was missed', async () => {
    const { chain, stop } = await filled({
      storeOf: (index) => (index === 2 ? sqliteCacheStore(database('values.db')) : undefined),
    });
    await using _ = chain;
    stop();
    await chain.stop(2);
    for (let n = 1; n <= 9; n++) await invalidate(chain, 'a', n);
    chain.begin(2);
    await chain.settled();
    expect([chain.leaf.state, chain.leaf.stats.clears, chain.leaf.position]).toEqual(['live', 1, chain.owner.position]);
    expect([await chain.leaf.get('a'), await chain.leaf.get('b')]).toEqual([{ n: 9 }, { n: 0 }]);
    expect(chain.leaf.stats.fetches).toBe(2);
  });

  test('an owner with a lasting store and a durable topic keeps what was not named while it was away', async () => {
    const db = database('owner.db');
    const lasting = (chain: Chain) => ({
      topic: createTopic({
        event: CacheEventSchema,
        store: new SqliteTopicStore(db, { name: 'docs' }),
        clock: chain.clock,
      }),
      store: sqliteCacheStore<{ n: number }>(db),
    });
    await using chain = await Chain.create({ transport, nodes: 2 });
    const first = lasting(chain);
    await chain.restart(0, first);
    await chain.owner.get('a');
    await chain.owner.get('b');
    await chain.stop(0);
    chain.write('a', 1);
    first.topic.publish({ key: 'a' }); // published by the last process, not applied to its store
    first.topic.close();
    chain.loads = 0;
    const second = lasting(chain);
    chain.begin(0, second);
    expect([await chain.owner.get('a'), await chain.owner.get('b'), chain.loads]).toEqual([{ n: 1 }, { n: 0 }, 1]);
    await chain.advance(5_000);
    second.topic.close();
  });
});
