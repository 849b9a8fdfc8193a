import { describe, expect, test } from 'vitest';
import type { CacheUpstream } from '../../cache/relayCache.ts';
import { Ok } from '../../router/result.ts';
import { Chain, type Doc } from './support/chain.ts';
import { at, contentsOn, dropping } from './support/contents.ts';

describe('how far a hop has heard', () => {
  test('is forgotten with the epoch', () => {
    const { contents } = contentsOn();
    contents.clear(at(3));
    contents.apply([], at(Number.MAX_SAFE_INTEGER));
    contents.clear(at(2, 'f'));
    expect([contents.floor, contents.demandFor(undefined)]).toEqual([
      at(2, 'f'),
      { fresh: false, atLeast: at(2, 'f') },
    ]);
  });

  test('is held against an upstream that is late, and not against one that never gets there', async () => {
    const { contents } = contentsOn();
    contents.clear(at(9));
    contents.clear(at(5)); // another upstream, which is behind
    contents.doubtFloor(true);
    contents.doubtFloor(false); // it hears nothing: that says nothing of how late it is
    contents.doubtFloor(true);
    await contents.fetch('a', contents.demandFor(undefined), () => 1);
    expect([contents.floor, contents.find('a', at(9))]).toEqual([at(9), 1]);
    contents.apply(dropping('b'), at(9));
    contents.doubtFloor(true);
    contents.doubtFloor(true);
    expect([contents.floor, contents.find('a', at(9))]).toEqual([at(9), 1]);
    contents.clear(at(7));
    await contents.fetch('a', contents.demandFor(undefined), () => 2);
    contents.doubtFloor(true);
    contents.apply([], at(8));
    contents.doubtFloor(true);
    expect([contents.floor, contents.applied, contents.find('a', undefined)]).toEqual([at(8), at(8), undefined]);
  });

  test('a position that no owner was at does not keep the hops before from answering for ever', async () => {
    let isLying = false;
    const lying = ({ get, invalidate, changes }: CacheUpstream<Doc>): CacheUpstream<Doc> => ({
      get,
      invalidate,
      changes: {
        subscribe(request) {
          const { resReadable } = changes.subscribe(request);
          async function* messages() {
            for await (const message of resReadable) {
              yield message;
              if (!isLying || !message.ok || message.payload.type !== 'events') continue;
              isLying = false;
              const { epoch } = message.payload;
              yield Ok({ type: 'progress' as const, position: { epoch, offset: Number.MAX_SAFE_INTEGER } });
            }
          }
          const iterator = messages();
          // The cast: what is asked of a readable here, and nothing of its class.
          const said = { [Symbol.asyncIterator]: () => iterator, break: () => resReadable.break() };
          return { resReadable: said as unknown as typeof resReadable };
        },
      },
    });
    const wrap = (upstream: CacheUpstream<Doc>, index: number) => (index === 2 ? lying(upstream) : upstream);
    await using chain = await Chain.create({ wrap });
    isLying = true;
    await chain.owner.invalidate('a');
    await chain.settled();
    expect(chain.leaf.position?.offset).toBe(Number.MAX_SAFE_INTEGER);
    await chain.owner.invalidate('a'); // is before it: the hop asks anew, and hears how far the history goes
    await chain.advance(5_000);
    expect([chain.leaf.state, chain.leaf.position?.offset]).toEqual(['live', 2]);
    await chain.advance(2 * 1.25 * 300_000);
    await chain.node(1).cache.get('a');
    const { loads } = chain;
    await chain.leaf.get('a');
    expect([chain.loads - loads, chain.node(1).cache.stats.hits]).toEqual([0, 1]);
  });
});
