import { describe, expect, test } from 'vitest';
import { RetryBudget } from '../../transport/retryBudget.ts';

const options = { baseIntervalMs: 100, maxJitterMs: 40, maxBackoffMs: 1_000, attemptBudgetCapacity: 3 };

describe('the retry budget', () => {
  test.each([
    { random: 0, waits: [100, 200, 400, 800, 1_000, 1_000] },
    { random: 0.5, waits: [120, 220, 420, 820, 1_020, 1_020] },
  ])('doubles the wait up to its ceiling and adds jitter (random $random)', ({ random, waits }) => {
    const budget = new RetryBudget(options, () => random);
    expect(waits.map(() => budget.fail())).toEqual(waits);
    expect(budget.failures).toBe(waits.length);
  });

  test('asks for randomness anew each time', () => {
    const values = [0, 0.25, 0.75];
    const budget = new RetryBudget({ ...options, baseIntervalMs: 1_000 }, () => values.shift() ?? 0);
    expect([budget.fail(), budget.fail(), budget.currentBackoffMs()]).toEqual([1_000, 1_010, 1_030]);
  });

  test('does not wait without a failure', () => {
    const budget = new RetryBudget(options, () => 1);
    expect(budget.currentBackoffMs()).toBe(0);
    expect(budget.failures).toBe(0);
  });

  test('is used up after as many failures as its capacity, not before', () => {
    const budget = new RetryBudget(options, () => 0);
    const left = [0, 1, 2, 3].map(() => {
      const { hasBudget } = budget;
      budget.fail();
      return hasBudget;
    });
    expect(left).toEqual([true, true, true, false]);
  });

  test('begins anew after a reset', () => {
    const budget = new RetryBudget(options, () => 0);
    for (let n = 0; n < 5; n++) budget.fail();
    expect(budget.hasBudget).toBe(false);
    budget.reset();
    expect(budget.failures).toBe(0);
    expect(budget.hasBudget).toBe(true);
    expect(budget.fail()).toBe(100);
  });

  test('stays at its ceiling however often dials fail', () => {
    const budget = new RetryBudget({ ...options, attemptBudgetCapacity: Number.POSITIVE_INFINITY }, () => 0);
    let wait = 0;
    for (let n = 0; n < 5_000; n++) wait = budget.fail();
    expect(wait).toBe(1_000);
    expect(budget.hasBudget).toBe(true);
  });
});
