import { describe, expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { CallError } from '../../router/errors.ts';
import { Turn, Turns } from '../../watch/turns.ts';
import type { DocServices } from './support/chain.ts';
import { outcomeOf, tappedChain } from './support/tappedChain.ts';

describe('turns', () => {
  function numbered(limit: number, count: number) {
    const turns = new Turns(limit);
    const begun: number[] = [];
    const all = Array.from({ length: count }, (_, n) => new Turn(() => begun.push(n)));
    for (const turn of all) turns.take(turn);
    const leave = (...which: number[]) => {
      for (const n of which) for (const turn of all.slice(n, n + 1)) turns.leave(turn);
    };
    return { turns, begun, leave };
  }

  test('come in order, so many at once', () => {
    const { begun, leave } = numbered(2, 5);
    expect(begun).toEqual([0, 1]);
    leave(1);
    expect(begun).toEqual([0, 1, 2]);
    leave(0, 2);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
  });

  test('that are given up never begin, and make no room; leaving twice makes room once', () => {
    const { turns, begun, leave } = numbered(1, 5);
    leave(1, 2);
    expect(begun).toEqual([0]);
    leave(0, 0, 1);
    expect(begun).toEqual([0, 3]);
    leave(3, 4);
    let isLate = false;
    turns.take(
      new Turn(() => {
        isLate = true;
      }),
    );
    expect([begun, isLate]).toEqual([[0, 3, 4], true]);
  });
});

describe('requests for an invalidation', () => {
  test('more invalidations than a session has calls are passed on in turns, in their order, each for as long as it may wait', async () => {
    const { chain, tap } = await tappedChain({ relays: { maxConcurrentFetches: 3 } });
    await using _ = chain;
    const keys = Array.from({ length: 2_000 }, (_, n) => `key ${n}`);
    const positions = await Promise.all(keys.map((key) => chain.leaf.invalidate(key)));
    expect(positions.map(({ offset }) => offset)).toEqual(keys.map((_, n) => n + 1));
    tap.replies.shut();
    const leaving = new AbortController();
    const outcomes = [1, 2, 3].map(() => outcomeOf(chain.leaf.invalidate('a')));
    const [late, gone, next] = [{ timeoutMs: 500 }, { signal: leaving.signal }, {}].map((options) =>
      outcomeOf(chain.leaf.invalidate('a', options)),
    );
    leaving.abort();
    await chain.advance(500);
    const unconfirmed = { state: 'rejected', error: { code: 'CACHE_UNCONFIRMED', position: undefined } };
    expect([late, gone, next?.state, tap.invalidations]).toMatchObject([unconfirmed, unconfirmed, 'pending', 2_003]);
    tap.replies.letPass(1);
    await chain.settled();
    expect([outcomes[0]?.state, tap.invalidations]).toEqual(['resolved', 2_004]); // neither of the two that had left
    tap.replies.letPass(Number.POSITIVE_INFINITY);
    await chain.settled();
    expect([...outcomes, next].map((outcome) => outcome?.state)).toEqual(Array(4).fill('resolved'));
  });

  test('waiting for a turn is part of the time that a caller gives', async () => {
    const { chain } = await tappedChain({ relays: { maxConcurrentFetches: 1 } });
    await using _ = chain;
    const { link } = chain.node(1).harness;
    link.setReachable(false);
    link.cut();
    const [first, second] = [300, 500].map((timeoutMs) => outcomeOf(chain.leaf.invalidate('a', { timeoutMs })));
    await chain.advance(300);
    expect([first?.state, second?.state]).toEqual(['rejected', 'pending']);
    await chain.advance(200);
    expect(second).toMatchObject({ state: 'rejected', error: { code: 'CACHE_UNCONFIRMED', position: undefined } });
    link.setReachable(true);
    await chain.advance(5_000);
  });

  test('one for which the session has no room was not made: that is what is said, not that nobody knows', async () => {
    const { chain } = await tappedChain({ nodes: 2 });
    await using _ = chain;
    let open = (): void => undefined;
    chain.beforeLoaded = () =>
      new Promise((resolve) => {
        open = resolve;
      });
    const { link } = chain.node(1);
    if (link === undefined) throw new Error('the leaf has no link');
    const { docs } = createClient<DocServices>(link);
    const others = Array.from({ length: 999 }, () => docs.get.rpc({ key: 'b' }));
    const error: unknown = await chain.leaf.invalidate('a').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({ code: 'INVALID_REQUEST' });
    await chain.settled();
    open();
    await Promise.all(others);
    expect(chain.owner.position?.offset).toBe(0);
  });
});
