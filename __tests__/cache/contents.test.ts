import { describe, expect, test } from 'vitest';
import { Contents } from '../../cache/contents.ts';
import type { FlightLimits } from '../../cache/flights.ts';
import { settleOptions } from '../../cache/options.ts';
import { type CacheStore, MemoryCacheStore } from '../../cache/store.ts';
import type { Position } from '../../watch/position.ts';
import { quietClock } from '../watch/support/clock.ts';

const at = (offset: number, epoch = 'e'): Position => ({ epoch, offset });
const dropping = (...keys: string[]) => keys.map((key) => ({ event: { key } }));

const usual: FlightLimits = { maxFetches: 100, maxConcurrentFetches: 100, fetchTimeoutMs: 1_000 };

function contentsOn(store: CacheStore<number> = new Map(), limits: Partial<FlightLimits> = {}) {
  const clock = quietClock();
  return { clock, store, contents: new Contents<number>(store, { ...usual, ...limits }, clock) };
}

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

describe('a store', () => {
  /** A store that lasts, and fails where it is told to. */
  class FailingStore implements CacheStore<number> {
    readonly values = new Map<string, number>();
    readonly log: string[] = [];
    readonly failing = new Set<string>();
    saved: Position | undefined;
    readonly position = {
      load: () => {
        this.#do('load');
        return this.saved;
      },
      save: (position: Position) => {
        this.#do('save');
        this.saved = position;
      },
    };
    get(key: string): number | undefined {
      this.#do('get');
      return this.values.get(key);
    }
    set(key: string, value: number): void {
      this.#do('set');
      this.values.set(key, value);
    }
    delete(key: string): void {
      this.#do('delete');
      this.values.delete(key);
    }
    clear(): void {
      this.#do('clear');
      this.values.clear();
    }
    #do(what: string): void {
      this.log.push(what);
      if (this.failing.has(what)) throw new Error(`${what} failed`);
    }
  }

  async function held() {
    const store = new FailingStore();
    store.saved = at(1);
    store.values.set('a', 1);
    store.values.set('b', 2);
    const { contents } = contentsOn(store);
    return { store, contents, find: (key: string) => contents.find(key, undefined) };
  }

  test('that lasts is taken on with its position', async () => {
    const { contents, find } = await held();
    expect([contents.applied, find('a'), find('b')]).toEqual([at(1), 1, 2]);
  });

  test.each<[string, unknown]>([
    ['no position', undefined],
    ['half a position', { epoch: 'e' }],
    ['an offset that is none', { epoch: 'e', offset: -1 }],
  ])('that has %s is cleared', (_what, saved) => {
    const store = new FailingStore();
    store.saved = saved as Position; // what a file may hold
    store.values.set('a', 1);
    const { contents } = contentsOn(store);
    expect([contents.applied, store.values.size]).toEqual([undefined, 0]);
  });

  test('that knows nothing of positions is cleared at the beginning', () => {
    const store = new Map([['a', 1]]);
    contentsOn(store);
    expect(store.size).toBe(0);
  });

  test('hears of a position only after everything before it was dropped', async () => {
    const { store, contents } = await held();
    store.log.length = 0;
    contents.apply(dropping('a', 'b'), at(3));
    expect([store.log, store.saved]).toEqual([['delete', 'delete', 'save'], at(3)]);
    store.log.length = 0;
    contents.clear(at(8));
    expect([store.log, store.saved]).toEqual([['clear', 'save'], at(8)]);
  });

  test('is given the furthest position, also when an upstream that is behind takes the hop back', async () => {
    const { store, contents } = await held();
    contents.apply(dropping('a'), at(9));
    contents.clear(at(4));
    expect(store.saved).toEqual(at(9));
    const next = contentsOn(store).contents;
    expect([next.applied, next.demandFor(undefined)]).toEqual([at(9), { fresh: false, atLeast: at(9) }]);
    contents.clear(at(2, 'f'));
    expect(store.saved).toEqual(at(2, 'f'));
  });

  test('that cannot delete is not believed, nor given a position, until it could be cleared', async () => {
    const { store, contents, find } = await held();
    store.failing.add('delete').add('clear');
    contents.apply(dropping('a'), at(2));
    expect([find('a'), find('b'), store.saved]).toEqual([undefined, undefined, at(1)]);
    contents.apply(dropping('c'), at(3));
    expect(store.saved).toEqual(at(1)); // the next process drops them once more
    store.failing.clear();
    expect([find('b'), store.values.size]).toEqual([undefined, 0]);
    contents.apply([], at(4));
    expect(store.saved).toEqual(at(4));
  });

  test.each<[string, Partial<CacheStore<number>>]>([
    ['clear', { clear: () => Promise.reject(new Error('no disk')) }],
    ['position.load', { position: { load: async () => at(1), save: () => undefined } as never }], // not what its type says
  ])('that answers with a promise to %s is refused', (method, asynchronous) => {
    const { get, set, delete: remove, clear } = new FailingStore();
    const store = { get, set, delete: remove, clear, ...asynchronous };
    expect(() => contentsOn(store)).toThrow(`expected a store that answers at once, got a promise from ${method}`);
  });

  test('that deletes or writes some time later is not believed, and what fails then is nobody else’s affair', async () => {
    const store = new FailingStore();
    store.saved = at(1);
    store.values.set('a', 1);
    const later = { get: (key: string) => store.get(key), clear: () => store.clear(), position: store.position };
    const fail = () => Promise.reject(new Error('no disk'));
    const { contents } = contentsOn({ ...later, set: fail, delete: fail });
    contents.apply(dropping('a'), at(2));
    expect([contents.find('a', undefined), store.values.size]).toEqual([undefined, 0]);
    store.values.set('b', 1); // what a set that failed has left, perhaps
    expect(await contents.fetch('b', { fresh: false, atLeast: undefined }, () => 2)).toBe(2);
    expect(contents.find('b', undefined)).toBeUndefined();
  });

  test('that cannot read or write is one that holds nothing', async () => {
    const { store, contents, find } = await held();
    store.failing.add('get');
    expect(find('a')).toBeUndefined();
    store.failing.clear();
    store.failing.add('set').add('save');
    expect(await contents.fetch('a', { fresh: false, atLeast: undefined }, () => 9)).toBe(9);
    expect(find('a')).toBeUndefined(); // neither the new value nor the old one
    contents.apply(dropping('b'), at(2));
    expect([find('b'), store.saved, contents.applied]).toEqual([undefined, at(1), at(2)]);
  });

  test('of our own keeps those that were used last', () => {
    const store = new MemoryCacheStore<number>(3);
    for (const [key, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const)
      store.set(key, value);
    store.get('a');
    store.set('b', 5);
    store.set('d', 4);
    expect(['a', 'b', 'c', 'd'].map((key) => store.get(key))).toEqual([1, 5, undefined, 4]);
    store.delete('b');
    store.delete('b');
    store.set('e', 6);
    expect([store.size, ['a', 'd', 'e'].map((key) => store.get(key))]).toEqual([3, [1, 4, 6]]);
    for (let n = 0; n < 10_000; n++) store.set(`${n}`, n);
    expect([store.size, store.get('9999'), store.get('9996')]).toEqual([3, 9999, undefined]);
    store.clear();
    store.set('z', 1);
    expect([store.size, store.get('z'), store.get('9999')]).toEqual([1, 1, undefined]);
  });

  test.each([0, -1, 1.5, Number.NaN])('of %s entries is refused', (maxEntries) => {
    expect(() => settleOptions({ maxEntries })).toThrow('expected maxEntries to be a whole number from 1');
  });

  test('of the user is its own bound', () => {
    expect(() => settleOptions({ maxEntries: 5, store: new Map() })).toThrow('expected store or maxEntries, got both');
  });

  test.each(['fetchTimeoutMs', 'maxFetches', 'maxConcurrentFetches', 'maxWaiting'])(
    'a %s that is none is refused',
    (name) => {
      expect(() => settleOptions({ [name]: 0 })).toThrow(`expected ${name} of more than 0, got 0`);
    },
  );
});
