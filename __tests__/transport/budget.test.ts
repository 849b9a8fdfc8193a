import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BufferBudget } from '../../transport/budget.ts';
import { InvalidOptionsError } from '../../transport/errors.ts';

const MAX = 1_000_000;

/** Lets a session take as much as it may, up to what it wants. Returns what it has then. */
function take(budget: BufferBudget, has: number, wants: number): number {
  const gets = Math.max(has, Math.min(has + wants, Math.floor(has + budget.moreFor(has))));
  budget.changed(has, gets);
  return gets;
}

describe('a budget', () => {
  test('is never exceeded, whoever takes how much and in which order', () => {
    const step = fc.record({ who: fc.nat(200), wants: fc.nat(MAX), isOver: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const budget = new BufferBudget(MAX);
        const held = new Map<number, number>();
        for (const { who, wants, isOver } of steps) {
          const has = held.get(who) ?? 0;
          if (isOver) budget.changed(has, 0);
          held.set(who, isOver ? 0 : take(budget, has, wants));
          expect(budget.heldBytes).toBe([...held.values()].reduce((sum, one) => sum + one, 0));
          expect(budget.heldBytes).toBeLessThanOrEqual(MAX);
        }
      }),
    );
  });

  test('leaves room for one who asks for little, however many want all of it, one after the other', () => {
    // As large as the default: it is enough for some thousands who take what they may and give nothing back.
    const max = 256 * 1024 * 1024;
    const budget = new BufferBudget(max);
    for (let n = 0; n < 5_000; n++) take(budget, 0, max);
    expect(budget.heldBytes).toBeGreaterThan(max / 2);
    expect(take(budget, 0, 5_000)).toBe(5_000);
  });

  test('leaves room for one who asks for little, however many end calls and never hear of it', () => {
    const max = 256 * 1024 * 1024;
    const budget = new BufferBudget(max);
    for (let n = 0; n < 5_000; n++) {
      const most = budget.moreForEnds(0);
      budget.changed(0, most);
      expect(budget.moreForEnds(most)).toBeLessThanOrEqual(n === 0 ? max : 0);
    }
    expect(budget.heldBytes).toBeGreaterThanOrEqual((max * 17) / 32);
    expect(take(budget, 0, 5_000)).toBe(5_000);
  });

  test('is the end where there are more than it is enough for', () => {
    const budget = new BufferBudget(MAX);
    for (let n = 0; n < 100; n++) take(budget, 0, MAX);
    expect(budget.heldBytes).toBeGreaterThan(MAX * 0.99);
    expect(budget.heldBytes).toBeLessThanOrEqual(MAX);
    expect(take(budget, 0, MAX)).toBeLessThan(MAX * 0.01);
  });

  test('is whole again when everybody has gone', () => {
    const budget = new BufferBudget(MAX);
    const all = Array.from({ length: 50 }, () => take(budget, 0, MAX));
    for (const one of all) budget.changed(one, 0);
    expect([budget.heldBytes, budget.freeBytes, budget.moreFor(0)]).toEqual([0, MAX / 2, MAX / 2]);
  });

  test.each([0, -1, Number.NaN])('of %d bytes is refused', (bytes) => {
    expect(() => new BufferBudget(bytes)).toThrow(InvalidOptionsError);
  });
});
