import { describe, expect, test } from 'vitest';
import type { Contents } from '../../cache/contents.ts';
import type { Position } from '../../watch/position.ts';
import { at, contentsOn, dropping } from './support/contents.ts';

/** A fetch that is answered by hand. */
function byHand() {
  let resolve: (value: number) => void = () => undefined;
  const answer = new Promise<number>((keep) => {
    resolve = keep;
  });
  return { fetch: () => answer, resolve };
}

describe('what a hop holds', () => {
  const none = { fresh: false, atLeast: undefined };

  test('a fetch is kept if nothing was dropped under it', async () => {
    const { contents } = contentsOn();
    contents.clear(at(3));
    const { fetch, resolve } = byHand();
    const value = contents.fetch('a', none, fetch);
    contents.apply(dropping('b'), at(4));
    resolve(1);
    expect([await value, contents.find('a', undefined)]).toEqual([1, 1]);
  });

  test.each<[string, (contents: Contents<number>) => void]>([
    ['an event for its key', (contents) => contents.apply(dropping('b', 'a'), at(5))],
    ['a drop', (contents) => contents.drop('a')],
    ['something that was missed', (contents) => contents.clear(at(9))],
    ['another epoch', (contents) => contents.clear(at(0, 'f'))],
    ['a refusal', (contents) => contents.forget()],
  ])('a fetch that %s came under is neither kept nor shared', async (_what, happen) => {
    const { contents } = contentsOn();
    contents.clear(at(3));
    const { fetch, resolve } = byHand();
    const value = contents.fetch('a', none, fetch);
    expect(contents.join('a', undefined)).toBe(value);
    happen(contents);
    expect(contents.join('a', undefined)).toBeUndefined();
    resolve(1);
    expect([await value, contents.find('a', undefined), contents.fetches]).toEqual([1, undefined, 0]);
  });

  test('a fetch that a drop came under does not take the place of the one after it when it ends', async () => {
    const { contents } = contentsOn();
    contents.clear(at(3));
    const [early, late] = [byHand(), byHand()];
    const first = contents.fetch('a', none, early.fetch);
    contents.apply(dropping('a'), at(4));
    const second = contents.fetch('a', none, late.fetch);
    early.resolve(1);
    expect([await first, contents.join('a', undefined) === second]).toEqual([1, true]);
    late.resolve(2);
    expect([await second, contents.find('a', undefined)]).toEqual([2, 2]);
  });

  test('before there is a position nothing is kept: nobody would say when it is old', async () => {
    const { contents } = contentsOn();
    const { fetch, resolve } = byHand();
    const [early, late] = [contents.fetch('a', none, () => 1), contents.fetch('b', none, fetch)];
    expect([await early, contents.find('a', undefined)]).toEqual([1, undefined]);
    contents.clear(at(0));
    resolve(2);
    expect(await late).toBe(2);
    expect([contents.find('a', undefined), contents.find('b', undefined)]).toEqual([undefined, undefined]);
  });

  test('after a refusal nothing is kept, either', async () => {
    const { contents, store } = contentsOn();
    contents.clear(at(3));
    contents.forget();
    expect(await contents.fetch('a', none, () => 1)).toBe(1);
    expect([contents.applied, contents.find('a', undefined), store.get('a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('of two fetches of one key the one that began last is kept, whichever ends last', async () => {
    const { contents } = contentsOn();
    contents.clear(at(0));
    const [first, second] = [byHand(), byHand()];
    const values = [
      contents.fetch('a', none, first.fetch),
      contents.fetch('a', { ...none, fresh: true }, second.fetch),
    ];
    second.resolve(2);
    await values[1];
    first.resolve(1);
    expect([await values[0], contents.find('a', undefined)]).toEqual([1, 2]);
  });

  test.each<[string, Position | undefined, boolean]>([
    ['nothing', undefined, true],
    ['less than it', at(3), true],
    ['as much', at(4), true],
    ['more than it', at(5), false],
    ['of another history', at(1, 'f'), false],
  ])('it answers somebody who has heard %s: %s → %s', async (_what, wanted, answers) => {
    const { contents } = contentsOn();
    contents.clear(at(4));
    await contents.fetch('a', none, () => 1);
    const { fetch } = byHand();
    const flying = contents.fetch('b', none, fetch);
    expect(contents.find('a', wanted)).toBe(answers ? 1 : undefined);
    expect(contents.join('b', wanted)).toBe(answers ? flying : undefined);
    contents.close(new Error('over'));
    await expect(flying).rejects.toThrow('over');
  });

  test('somebody who has heard more may share a fetch that was made for them', async () => {
    const { contents } = contentsOn();
    contents.clear(at(4));
    const demand = contents.demandFor(at(7));
    expect(demand).toEqual({ fresh: false, atLeast: at(7) });
    const { fetch, resolve } = byHand();
    const value = contents.fetch('a', demand, fetch);
    expect([contents.join('a', at(7)), contents.join('a', at(8))]).toEqual([value, undefined]);
    resolve(1);
    await value;
  });

  test.each<[string, Position | undefined, Position | undefined, object]>([
    ['neither has heard anything', undefined, undefined, { fresh: false, atLeast: undefined }],
    ['only the hop has', at(4), undefined, { fresh: false, atLeast: at(4) }],
    ['only the caller has', undefined, at(4), { fresh: false, atLeast: at(4) }],
    ['the hop has heard more', at(4), at(2), { fresh: false, atLeast: at(4) }],
    ['the caller has', at(4), at(6), { fresh: false, atLeast: at(6) }],
    ['each of another history', at(4), at(6, 'f'), { fresh: true, atLeast: at(6, 'f') }],
  ])('what it asks for if %s', (_what, floor, wanted, demand) => {
    const { contents } = contentsOn();
    if (floor !== undefined) contents.clear(floor);
    expect(contents.demandFor(wanted)).toEqual(demand);
  });

  test('an upstream that is behind takes the position back, and what is asked of it not', () => {
    const { contents } = contentsOn();
    contents.clear(at(9));
    contents.clear(at(4));
    expect([contents.applied, contents.floor]).toEqual([at(4), at(9)]);
    contents.apply([], at(10));
    expect([contents.applied, contents.floor]).toEqual([at(10), at(10)]);
    contents.clear(at(1, 'f'));
    expect([contents.applied, contents.floor]).toEqual([at(1, 'f'), at(1, 'f')]);
  });

  test('a fetch that takes too long fails and lets go of its load; what it brings after that is nothing', async () => {
    const { contents, clock } = contentsOn();
    contents.clear(at(0));
    const { fetch, resolve } = byHand();
    let signal: AbortSignal | undefined;
    const value = contents.fetch('a', none, (given) => {
      signal = given;
      return fetch();
    });
    const failed = expect(value).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await clock.advance(999);
    expect([contents.fetches, signal?.aborted]).toEqual([1, false]);
    await clock.advance(1);
    await failed;
    expect([contents.fetches, signal?.aborted, clock.pendingTimers]).toEqual([0, true, 0]);
    resolve(1);
    await clock.advance(0);
    expect(contents.find('a', undefined)).toBeUndefined();
  });

  test('there are so many fetches and no more, those that were dropped included', async () => {
    const { contents, clock } = contentsOn(new Map(), { maxFetches: 2 });
    contents.clear(at(0));
    const { fetch, resolve } = byHand();
    const values = [contents.fetch('a', none, fetch), contents.fetch('b', none, fetch)];
    contents.clear(at(1));
    expect(() => contents.fetch('c', none, fetch)).toThrow(expect.objectContaining({ code: 'CACHE_BUSY' }));
    resolve(1);
    await Promise.all(values);
    expect([await contents.fetch('c', none, fetch), clock.pendingTimers]).toEqual([1, 0]);
  });

  test('so many fetches run at once, the others in their turn, and none that was given up before it', async () => {
    const { contents, clock } = contentsOn(new Map(), { maxConcurrentFetches: 2 });
    contents.clear(at(0));
    const hands = ['a', 'b', 'c', 'd'].map((key) => ({ key, ...byHand() }));
    const begun: string[] = [];
    const values = hands.map(({ key, fetch }) =>
      contents.fetch(key, none, () => {
        begun.push(key);
        return fetch();
      }),
    );
    expect([begun, contents.fetches]).toEqual([['a', 'b'], 4]);
    expect(contents.join('c', undefined)).toBe(values[2]);
    contents.apply(dropping('c'), at(1)); // has not begun, but those who come now are not to know
    expect(contents.join('c', undefined)).toBeUndefined();
    hands[1]?.resolve(2);
    await values[1];
    expect(begun).toEqual(['a', 'b', 'c']);
    const failed = values.filter((_, index) => index !== 1).map((value) => expect(value).rejects.toThrow('over'));
    contents.close(new Error('over'));
    await Promise.all(failed);
    expect([begun, contents.fetches]).toEqual([['a', 'b', 'c'], 0]);
    expect([await contents.fetch('e', none, () => 5), clock.pendingTimers]).toEqual([5, 0]);
  });

  test('what the next fetch drops as it begins is not kept by the one that made room for it', async () => {
    const { contents } = contentsOn(new Map(), { maxConcurrentFetches: 1 });
    contents.clear(at(0));
    const { fetch, resolve } = byHand();
    const first = contents.fetch('a', none, fetch);
    const second = contents.fetch('b', none, () => {
      contents.apply(dropping('a'), at(1));
      return 2;
    });
    resolve(1);
    expect([await first, await second, contents.find('a', undefined)]).toEqual([1, 2, undefined]);
  });

  test('ten thousand loads that throw at once fail one by one, and overflow nothing', async () => {
    const { contents, clock } = contentsOn(new Map(), { maxFetches: 10_001, maxConcurrentFetches: 1 });
    contents.clear(at(0));
    const { fetch, resolve } = byHand();
    const first = contents.fetch('first', none, fetch);
    const rest = Array.from({ length: 10_000 }, (_, n) => {
      const value = contents.fetch(`${n}`, none, () => {
        throw new Error(`no ${n}`);
      });
      return value.catch((error: Error) => error.message);
    });
    resolve(1);
    expect(await first).toBe(1);
    expect(contents.fetches).toBe(0);
    expect((await Promise.all(rest)).every((message, n) => message === `no ${n}`)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a load that throws at once is a fetch that failed, and is not kept', async () => {
    const { contents, clock } = contentsOn();
    contents.clear(at(0));
    const fail = () => {
      throw new Error('no such file');
    };
    await expect(contents.fetch('a', none, fail)).rejects.toThrow('no such file');
    expect([contents.join('a', undefined), contents.fetches, clock.pendingTimers]).toEqual([undefined, 0, 0]);
    expect(await contents.fetch('a', none, () => 1)).toBe(1);
  });
});
