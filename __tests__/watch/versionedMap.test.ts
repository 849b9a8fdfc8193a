import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VersionedMap } from '../../watch/versionedMap.ts';

type Step =
  | { do: 'set'; key: string }
  | { do: 'delete'; key: string }
  | { do: 'open' }
  /** Reads so many entries of a view, or closes it. */
  | { do: 'read'; view: number; count: number }
  | { do: 'close'; view: number };

const key = fc.integer({ min: 0, max: 7 }).map(String);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('set' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), view: fc.nat(9), count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), view: fc.nat(9) }) },
);

class Reader {
  readonly #rest: Iterator<readonly [string, number]>;
  readonly #expected: Map<string, number>;
  readonly #got = new Map<string, number>();
  readonly close: () => void;
  constructor(map: VersionedMap<number>) {
    const { entries, close } = map.view();
    this.#rest = entries[Symbol.iterator]();
    this.#expected = map.copy();
    this.close = close;
  }
  /** @returns whether there may be more */
  next(): boolean {
    const { done, value } = this.#rest.next();
    if (done === true) return false;
    const [key, held] = value;
    expect(held).toBe(this.#expected.get(key));
    this.#got.set(key, held);
    return true;
  }
  finish(): void {
    for (let left = this.#expected.size * 2 + 1; this.next(); left--) expect(left).toBeGreaterThan(0);
    expect(new Map([...this.#got].sort())).toEqual(new Map([...this.#expected].sort()));
    this.close();
  }
}

describe('a map that is read while it changes', () => {
  test('gives everybody what there was when they came, and keeps nothing when they have gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const map = new VersionedMap<number>();
        let readers: Reader[] = [];
        for (const [n, step] of steps.entries()) {
          if (step.do === 'set') map.set(step.key, n);
          else if (step.do === 'delete') map.delete(step.key);
          else if (step.do === 'open') readers.push(new Reader(map));
          else if (step.do === 'read') for (let i = 0; i < step.count; i++) readers[step.view]?.next();
          else {
            readers[step.view]?.close();
            readers = readers.filter((_, index) => index !== step.view);
          }
        }
        for (const reader of readers) reader.finish();
        expect(map.kept).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  });

  test('keeps what changed once for all who came before, and nothing for those who have gone', () => {
    const map = new VersionedMap<number>();
    for (let n = 0; n < 1_000; n++) map.set(`key ${n}`, n);
    const stuck = Array.from({ length: 200 }, () => map.view());
    for (let round = 0; round < 50; round++) for (let n = 0; n < 1_000; n++) map.set(`key ${n}`, round);
    expect(map.kept).toBe(1_000);
    // A storm: who comes makes a change, is served, and goes.
    for (let n = 0; n < 20_000; n++) {
      map.set(`guest ${n}`, n);
      const view = map.view();
      map.set('key 0', n);
      view.close();
      map.delete(`guest ${n}`);
    }
    expect(map.kept).toBeLessThan(5_000);
    expect(new Map(stuck[0]?.entries).get('key 7')).toBe(7);
    for (const view of stuck) view.close();
    expect(map.kept).toBe(0);
  });

  test('gives some keys as they are', () => {
    const map = new VersionedMap<number>();
    map.set('a', 1);
    map.set('b', 2);
    const { entries, close } = map.view(['b', 'c', 'b']);
    map.set('b', 3);
    expect([...entries]).toEqual([['b', 2]]);
    close();
    expect(map.kept).toBe(0);
  });
});
