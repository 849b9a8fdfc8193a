import { describe, expect, test } from 'vitest';
import { relayCache } from '../../cache/relayCache.ts';
import { Chain, type Doc, docServices } from './support/chain.ts';
import { lastingStore } from './support/lastingStore.ts';
import { Tap } from './support/tap.ts';
import { outcomeOf, tappedChain } from './support/tappedChain.ts';

describe('an invalidation is confirmed by its own event and nothing else', () => {
  test('an earlier event for the same key does not confirm a later invalidation', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    await chain.leaf.get('a');
    tap.events.shut();
    await chain.owner.invalidate('a');
    await chain.settled();
    chain.write('a', 1);
    const outcome = outcomeOf(chain.leaf.invalidate('a'));
    await chain.settled();
    expect([outcome.state, tap.invalidations]).toEqual(['pending', 1]); // answered by the owner, not heard of
    tap.events.letPass(1);
    await chain.settled();
    expect([outcome.state, chain.leaf.position?.offset]).toEqual(['pending', 1]);
    tap.events.letPass(1);
    await chain.settled();
    expect([outcome.state, chain.leaf.position?.offset]).toEqual(['resolved', 2]);
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
  });

  test('the event may come before the reply', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    await chain.leaf.get('a');
    tap.replies.shut();
    chain.write('a', 1);
    const outcome = outcomeOf(chain.leaf.invalidate('a'));
    await chain.settled();
    expect([outcome.state, chain.leaf.position?.offset]).toEqual(['pending', 1]);
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
    tap.replies.letPass(1);
    await chain.settled();
    expect(outcome.state).toBe('resolved');
  });

  test('published but not heard of in time: unconfirmed, with the position', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    await chain.leaf.get('a');
    tap.events.shut();
    const outcome = outcomeOf(chain.leaf.invalidate('a', { timeoutMs: 2_000 }));
    await chain.advance(1_999);
    expect(outcome.state).toBe('pending');
    await chain.advance(1);
    expect(outcome).toMatchObject({
      state: 'rejected',
      error: {
        code: 'CACHE_UNCONFIRMED',
        key: 'a',
        position: chain.owner.position,
        cause: { code: 'REACHED_TIMEOUT' },
      },
    });
    tap.events.letPass(Number.POSITIVE_INFINITY);
  });

  test('the answer and the event share one timeout', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    tap.replies.shut();
    tap.events.shut();
    const outcome = outcomeOf(chain.leaf.invalidate('a', { timeoutMs: 2_000 }));
    await chain.advance(1_500);
    tap.replies.letPass(1);
    await chain.advance(499);
    expect(outcome.state).toBe('pending');
    await chain.advance(1);
    const error = { code: 'CACHE_UNCONFIRMED', position: { offset: 1 }, cause: { code: 'REACHED_TIMEOUT' } };
    expect(outcome).toMatchObject({ state: 'rejected', error });
    tap.events.letPass(Number.POSITIVE_INFINITY);
  });

  test('a caller that gives up is told that nothing is confirmed, and holds nothing any more', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    tap.events.shut();
    const [early, late] = [new AbortController(), new AbortController()];
    const first = outcomeOf(chain.leaf.invalidate('a', { signal: early.signal }));
    early.abort(new Error('enough'));
    await chain.settled();
    expect(first).toMatchObject({ state: 'rejected', error: { code: 'CACHE_UNCONFIRMED', position: undefined } });
    const second = outcomeOf(chain.leaf.invalidate('a', { signal: late.signal }));
    await chain.settled();
    late.abort(new Error('enough'));
    await chain.settled();
    expect(second).toMatchObject({ state: 'rejected', error: { code: 'CACHE_UNCONFIRMED', position: { offset: 1 } } });
    expect(chain.leaf.stats.pending).toBe(0);
    tap.events.letPass(Number.POSITIVE_INFINITY);
  });

  test('a cache that is closed confirms nothing to those who wait for the event, and offers its history to nobody', async () => {
    const { chain, tap } = await tappedChain();
    await using _ = chain;
    tap.events.shut();
    const history = chain.leaf.hop.changes(() => {
      throw new Error('there is one mirror and no other');
    });
    const outcome = outcomeOf(chain.leaf.invalidate('a', { timeoutMs: Number.POSITIVE_INFINITY }));
    await chain.settled();
    expect(outcome.state).toBe('pending');
    chain.leaf.close();
    await chain.settled();
    const error = { code: 'CACHE_UNCONFIRMED', position: { offset: 1 }, cause: { code: 'CACHE_CLOSED' } };
    expect(outcome).toMatchObject({ state: 'rejected', error });
    await expect(history.reached({ ...history.head(), offset: 1 })).rejects.toMatchObject({ code: 'WATCH_CLOSED' });
    tap.events.letPass(Number.POSITIVE_INFINITY);
  });

  test('an owner that restarts with another history confirms nothing of the last', async () => {
    const { chain, tap } = await tappedChain({ nodes: 2 });
    await using _ = chain;
    tap.events.shut();
    const outcome = outcomeOf(chain.leaf.invalidate('a', { timeoutMs: 20_000 }));
    await chain.settled();
    await chain.stop(0);
    tap.events.breakOff();
    chain.begin(0);
    await chain.owner.invalidate('a'); // offset 1, too, of another epoch
    await chain.advance(10_000);
    expect([chain.leaf.state, chain.leaf.position]).toEqual(['live', chain.owner.position]);
    const cause = { code: 'OTHER_EPOCH' };
    expect(outcome).toMatchObject({ state: 'rejected', error: { code: 'CACHE_UNCONFIRMED', cause } });
  });

  test('an invalidation that is asked for before the cache has ever been live is confirmed once it is', async () => {
    const { chain } = await tappedChain({ nodes: 2 });
    await using _ = chain;
    await chain.stop(1);
    chain.begin(1);
    expect(chain.leaf.state).toBe('connecting');
    chain.write('a', 1);
    await chain.leaf.invalidate('a');
    expect([chain.leaf.state, chain.leaf.position]).toEqual(['live', chain.owner.position]);
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
  });
});

test('a hop that is behind does not answer with what it holds to somebody who has heard more', async () => {
  const { chain, tap } = await tappedChain();
  await using _ = chain;
  await chain.leaf.get('a');
  tap.events.shut(); // the line is slow
  chain.write('a', 1);
  const atLeast = await chain.owner.invalidate('a');
  const { leaf } = chain;
  expect([leaf.state, leaf.position?.offset, await leaf.get('a')]).toEqual(['live', 0, { n: 0 }]);
  expect(await leaf.hop.read('a', { fresh: false, atLeast, hops: 0 }, () => ({}))).toEqual({ n: 1 });
  expect(tap.gets.at(-1)).toEqual({ key: 'a', hops: 1, atLeast });
  tap.events.letPass(Number.POSITIVE_INFINITY);
  await chain.settled();
  expect(await leaf.get('a')).toEqual({ n: 1 });
});

test('a hop that came back with an old disk is not live, nor are those behind it, before it has heard what it missed', async () => {
  let middle = lastingStore();
  let isHeldUp = false;
  let tap: Tap<Doc> | undefined;
  const chain = await Chain.create({
    storeOf: (index) => (index === 1 ? middle.store : undefined),
    wrap: (upstream, index) => {
      if (index !== 1) return upstream;
      tap = new Tap(upstream);
      if (isHeldUp) {
        tap.events.shut();
        tap.events.letPass(1); // that it is subscribed, and nothing of what followed since
      }
      return tap;
    },
  });
  await using _ = chain;
  await chain.leaf.get('a');
  const old = middle.copy();
  chain.write('a', 1);
  const position = await chain.leaf.invalidate('a');
  await chain.leaf.get('a');
  // The middle hop loses its machine, and comes back with last night's disk and a slow line.
  middle = lastingStore(old);
  isHeldUp = true;
  await chain.restart(1);
  await chain.advance(10_000);
  const { cache } = chain.node(1);
  expect([cache.state, cache.position?.offset]).toEqual(['connecting', 0]);
  expect(chain.leaf.state).toBe('lost');
  // What it holds is not believed meanwhile.
  for (const reader of [cache, chain.leaf]) expect(await reader.get('a')).toEqual({ n: 1 });
  expect(tap?.gets).toEqual([
    { key: 'a', hops: 1, atLeast: { ...position, offset: 0 } },
    { key: 'a', hops: 2, atLeast: position },
  ]);
  tap?.events.letPass(Number.POSITIVE_INFINITY);
  await chain.advance(10_000);
  expect([cache.state, cache.position, chain.leaf.state, chain.leaf.position]).toEqual([
    'live',
    position,
    'live',
    position,
  ]);
  expect(await cache.get('a')).toEqual({ n: 1 });
});

test('for somebody of another history a hop asks the owner itself, whatever the hops before it hold', async () => {
  const { chain, tap } = await tappedChain();
  await using _ = chain;
  await chain.leaf.get('a');
  chain.write('a', 1); // nobody has said so
  const atLeast = { epoch: 'of another owner', offset: 3 };
  const read = () => chain.leaf.hop.read('a', { fresh: false, atLeast, hops: 0 }, () => ({}));
  expect(await read()).toEqual({ n: 1 });
  expect(tap.gets.at(-1)).toEqual({ key: 'a', hops: 1, fresh: true, atLeast });
  expect(chain.loads).toBe(2);
});

test('a hop that is served only later offers the history from where it stands', async () => {
  await using chain = await Chain.create({ nodes: 1 });
  const late = relayCache(chain.bareClient(0).client.docs, { clock: chain.clock });
  await chain.owner.invalidate('a');
  await chain.settled();
  docServices(late);
  const changes = late.hop.changes(() => {
    throw new Error('there is one mirror and no other');
  });
  expect(changes.head()).toEqual(chain.owner.position);
  await chain.owner.invalidate('b');
  await chain.settled();
  expect([late.state, changes.head()]).toEqual(['live', chain.owner.position]);
  expect(changes.read({ ...changes.head(), offset: 1 }, 10)).toMatchObject({ events: [{ event: { key: 'b' } }] });
  late.close();
});
