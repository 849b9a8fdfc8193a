import { describe, expect, test } from 'vitest';
import { settleOptions } from '../../cache/options.ts';
import { type CacheStore, MemoryCacheStore } from '../../cache/store.ts';
import type { Position } from '../../watch/position.ts';
import { at, contentsOn, dropping } from './support/contents.ts';

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
    ['one that no server would take', { epoch: 'e'.repeat(65), offset: 1 }],
    ['an offset that is none', { epoch: 'e', offset: -1 }],
    ['an epoch that is none', { epoch: '', offset: 1 }],
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

  test('is not given undefined, which it could not tell from nothing', async () => {
    const store = new Map<string, undefined>();
    const { contents } = contentsOn(store as Map<string, never>); // a load may do what its type does not say
    contents.clear(at(0));
    await contents.fetch('a', { fresh: false, atLeast: undefined }, () => undefined as never);
    expect(store.size).toBe(0);
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
    for (let n = 0; n < 10; n++) store.set(`${n}`, n);
    expect([store.size, store.get('9')]).toEqual([3, 9]);
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
