import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NumberMap, placeOf } from '../../transport/numberMap.ts';

describe('a map by numbers', () => {
  test('holds what it was given, whatever is deleted around it', () => {
    const key = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      // Of one place in tables of any size.
      fc.integer({ min: 0, max: 20 }).map((n) => 1 + n * 4_096),
      fc.constantFrom(2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1),
    );
    const step = fc.record({ key, isSet: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const map = new NumberMap<number>();
        const model = new Map<number, number>();
        for (const [n, { key, isSet }] of steps.entries()) {
          if (isSet) {
            map.set(key, n);
            model.set(key, n);
          } else {
            map.delete(key);
            model.delete(key);
          }
          expect(map.size).toBe(model.size);
          expect(map.get(key)).toBe(model.get(key));
        }
        for (const [key, value] of model) expect(map.get(key)).toBe(value);
        const rising = [...model].sort(([a], [b]) => a - b);
        expect(map.values()).toEqual(rising.map(([, value]) => value));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['side by side', (n: number) => n],
    ['apart by 2^32', (n: number) => 7 + n * 2 ** 32],
    // 2^32 / golden ratio, backwards: what would lie side by side without a secret.
    ['chosen to lie together', (n: number) => (Math.imul(n, 0x0e8b2f51) >>> 0) + 1],
    ['of which halves cancel out', (n: number) => n * 2 ** 32 + n],
  ])('spreads numbers that are %s', (_what, numberOf) => {
    const places = new Set(Array.from({ length: 1_000 }, (_, n) => placeOf(numberOf(n), 21)));
    // 1,000 in 2,048 places: 791 by chance.
    expect(places.size).toBeGreaterThan(500);
  });

  test('of numbers that rise and are deleted in turn stays as small as what is in it', () => {
    const map = new NumberMap<number>();
    for (let n = 1; n < 100_000; n++) {
      map.set(n, n);
      if (n > 50) map.delete(n - 50);
    }
    expect(map.size).toBe(50);
    map.clear();
    expect([map.size, map.get(99_999), map.values()]).toEqual([0, undefined, []]);
  });

  test('that was cleared has forgotten what it found last', () => {
    const map = new NumberMap<string>();
    map.set(7, 'seven');
    expect(map.get(7)).toBe('seven');
    map.clear();
    expect(map.get(7)).toBeUndefined();
    map.set(7, 'again');
    expect(map.get(7)).toBe('again');
  });
});
