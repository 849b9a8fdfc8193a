import { describe, expect, test } from 'vitest';
import { CacheUnconfirmedError } from '../../cache/errors.ts';
import { transportNames } from '../../testUtil/links.ts';
import { Chain } from './support/chain.ts';

/** A promise that is kept by hand. */
function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe.each(transportNames)('a chain of caches over %s', (transport) => {
  test('a value is loaded once for three hops, and after an invalidation once more', async () => {
    await using chain = await Chain.create({ transport, nodes: 4 });
    chain.write('a', 1);
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
    for (const { cache } of chain.nodes) expect(await cache.get('a')).toEqual({ n: 1 });
    expect(chain.loads).toBe(1);
    chain.write('a', 2);
    expect(await chain.leaf.get('a')).toEqual({ n: 1 }); // nobody has said anything
    const position = await chain.leaf.invalidate('a');
    for (const { cache } of chain.nodes) {
      expect(cache.position).toEqual(position);
      expect(await cache.get('a')).toEqual({ n: 2 });
    }
    expect(chain.loads).toBe(2);
  });

  test.each([0, 1, 2, 3])('an invalidation at hop %i is heard by all the others, under one position', async (hop) => {
    await using chain = await Chain.create({ transport, nodes: 4 });
    for (const { cache } of chain.nodes) await cache.get('a');
    chain.write('a', 5);
    const position = await chain.node(hop).cache.invalidate('a');
    await chain.settled();
    expect(chain.nodes.map(({ cache }) => cache.position)).toEqual([position, position, position, position]);
    for (const { cache } of [...chain.nodes].reverse()) expect(await cache.get('a')).toEqual({ n: 5 });
  });

  test('update writes, then invalidates, and every cache on the way has the new value', async () => {
    await using chain = await Chain.create({ transport });
    for (const { cache } of chain.nodes) await cache.get('a');
    const written = await chain.leaf.update('a', async () => {
      await chain.leaf.get('a', { fresh: true }); // whoever reads meanwhile holds what was there before
      chain.write('a', 7);
      return 'written';
    });
    expect(written).toBe('written');
    for (const { cache } of chain.nodes) expect(await cache.get('a')).toEqual({ n: 7 });
  });

  test('an update whose write fails invalidates nevertheless, and says what the write failed with', async () => {
    await using chain = await Chain.create({ transport });
    await chain.leaf.get('a');
    const write = () => {
      chain.write('a', 8); // half of it was written
      throw new Error('the disk is full');
    };
    await expect(chain.leaf.update('a', write)).rejects.toThrow('the disk is full');
    expect(await chain.leaf.get('a')).toEqual({ n: 8 });
  });

  test('an update that cannot be followed by an invalidation writes nothing', async () => {
    await using chain = await Chain.create({ transport, nodes: 2 });
    const write = () => chain.write('a', 9);
    await expect(chain.leaf.update('k'.repeat(257), write)).rejects.toThrow('expected a key of at most 256');
    await expect(chain.leaf.update('a', write, { timeoutMs: -1 })).rejects.toThrow('expected timeoutMs of 0 or more');
    chain.leaf.close();
    await expect(chain.leaf.update('a', write)).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    expect(chain.truth.size).toBe(0);
  });

  test('fresh is a read past every hop: what the hops hold is replaced, and nobody else is told', async () => {
    await using chain = await Chain.create({ transport });
    const other = await Chain.create({ transport, nodes: 1 }); // its own owner: a control that shares nothing
    await chain.leaf.get('a');
    const before = chain.owner.position;
    chain.write('a', 3);
    expect(await chain.node(1).cache.get('a', { fresh: true })).toEqual({ n: 3 });
    expect(await chain.node(1).cache.get('a')).toEqual({ n: 3 });
    expect(await chain.leaf.get('a')).toEqual({ n: 0 }); // not on the way of that read
    expect(await chain.leaf.get('a', { fresh: true })).toEqual({ n: 3 });
    expect(chain.loads).toBe(3);
    expect(chain.owner.position).toEqual(before);
    expect(other.loads).toBe(0);
    await other[Symbol.asyncDispose]();
  });

  test('concurrent gets of one key share one fetch, at every hop', async () => {
    await using chain = await Chain.create({ transport });
    const values = await Promise.all(Array.from({ length: 50 }, () => chain.leaf.get('a')));
    expect(values).toEqual(Array.from({ length: 50 }, () => ({ n: 0 })));
    expect([chain.loads, chain.leaf.stats.fetches, chain.leaf.stats.shared]).toEqual([1, 1, 49]);
  });

  test('a fetch that began before the drop is never cached nor shared', async () => {
    await using chain = await Chain.create({ transport });
    const held = gate();
    chain.write('a', 1);
    chain.beforeLoaded = () => held.opened;
    const early = chain.leaf.get('a'); // has read 1 at the owner, and waits
    await chain.settled();
    expect(chain.loads).toBe(1);
    chain.write('a', 2);
    await chain.leaf.invalidate('a');
    chain.beforeLoaded = () => undefined;
    const late = chain.leaf.get('a');
    expect(await late).toEqual({ n: 2 }); // did not wait for the one that is still under way
    held.open();
    expect(await early).toEqual({ n: 1 });
    await chain.settled();
    for (const { cache } of [...chain.nodes].reverse()) expect(await cache.get('a')).toEqual({ n: 2 });
    expect(chain.loads).toBe(2);
  });

  test('what is published between the subscription and the load is in what is served', async () => {
    await using chain = await Chain.create({ transport });
    await chain.stop(2);
    const held = gate();
    chain.beforeLoaded = () => held.opened;
    chain.begin(2);
    await chain.settled();
    const loading = chain.leaf.get('a');
    await chain.settled();
    chain.write('a', 1);
    await chain.owner.invalidate('a');
    await chain.settled();
    chain.beforeLoaded = () => undefined;
    held.open();
    expect(await loading).toEqual({ n: 0 });
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
  });

  test('a thousand keys are dropped one by one, and only those that were named', async () => {
    await using chain = await Chain.create({ transport });
    const keys = Array.from({ length: 1_000 }, (_, index) => `key ${index}`);
    const get = async (cache: typeof chain.leaf) => Promise.all(keys.map((key) => cache.get(key)));
    await get(chain.leaf); // more at once than a session has calls
    expect(chain.loads).toBe(1_000);
    await get(chain.leaf);
    expect([chain.loads, chain.leaf.stats.hits]).toEqual([1_000, 1_000]);
    for (const [index, key] of keys.entries()) if (index % 2 === 0) chain.write(key, index + 1);
    await Promise.all(keys.slice(0, 500).map((key) => chain.leaf.invalidate(key)));
    const values = await get(chain.leaf);
    expect(values.map(({ n }) => n)).toEqual(keys.map((_, index) => (index < 500 && index % 2 === 0 ? index + 1 : 0)));
    expect(chain.loads).toBe(1_500);
  });

  test('while the subscription is cut off an invalidation is not confirmed: it says so in time, and may happen later', async () => {
    await using chain = await Chain.create({ transport });
    await chain.leaf.get('a');
    chain.node(1).harness.link.setReachable(false);
    chain.node(1).harness.link.cut();
    chain.write('a', 1);
    let error: unknown;
    const ended = chain.leaf.invalidate('a', { timeoutMs: 3_000 }).catch((thrown: unknown) => {
      error = thrown;
    });
    await chain.advance(2_900);
    expect(error).toBeUndefined();
    await chain.advance(200);
    await ended;
    expect(error).toBeInstanceOf(CacheUnconfirmedError);
    expect(error).toMatchObject({ code: 'CACHE_UNCONFIRMED', key: 'a', position: undefined });
    chain.node(1).harness.link.setReachable(true);
    await chain.advance(10_000);
    await chain.leaf.invalidate('a');
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
  });

  test.each(['before', 'after'])(
    'the middle hop restarts %s it has passed the invalidation on: it resolves truly or rejects',
    async (when) => {
      await using chain = await Chain.create({ transport });
      for (const { cache } of chain.nodes) await cache.get('a');
      chain.write('a', 1);
      let outcome: string | undefined;
      const ended = chain.leaf.invalidate('a', { timeoutMs: 20_000 }).then(
        () => {
          outcome = 'confirmed';
        },
        (error: unknown) => {
          expect(error).toBeInstanceOf(CacheUnconfirmedError);
          outcome = 'unconfirmed';
        },
      );
      if (when === 'after') await new Promise((resolve) => setImmediate(resolve));
      await chain.restart(1);
      await chain.advance(25_000);
      await ended;
      expect(outcome).toMatch(/confirmed/);
      if (outcome === 'confirmed') for (const { cache } of chain.nodes) expect(await cache.get('a')).toEqual({ n: 1 });
      await chain.leaf.invalidate('a');
      for (const { cache } of [...chain.nodes].reverse()) expect(await cache.get('a')).toEqual({ n: 1 });
    },
  );
});
