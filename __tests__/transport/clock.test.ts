import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../transport/clock.ts';

const DAY_MS = 24 * 3_600_000;

describe('the platform’s clock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([0, 1, 1_000, 2 ** 31 - 1, 2 ** 31, 30 * DAY_MS, 365 * DAY_MS])(
    'calls once after %d ms, not before',
    (ms) => {
      let calls = 0;
      systemClock.after(ms, () => {
        calls += 1;
      });
      vi.advanceTimersByTime(Math.max(0, ms - 1));
      if (ms > 1) expect(calls).toBe(0);
      vi.advanceTimersByTime(1);
      expect(calls).toBe(1);
      vi.advanceTimersByTime(2 * DAY_MS);
      expect(calls).toBe(1);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test.each([{ afterDays: 0 }, { afterDays: 30 }, { afterDays: 99 }])(
    'does not call once it was cancelled, $afterDays days on',
    ({ afterDays }) => {
      let calls = 0;
      const cancel = systemClock.after(100 * DAY_MS, () => {
        calls += 1;
      });
      vi.advanceTimersByTime(afterDays * DAY_MS);
      cancel();
      cancel();
      expect(vi.getTimerCount()).toBe(0);
      vi.advanceTimersByTime(200 * DAY_MS);
      expect(calls).toBe(0);
    },
  );

  test('calls every so often until it is cancelled', () => {
    let calls = 0;
    const cancel = systemClock.every(100, () => {
      calls += 1;
    });
    vi.advanceTimersByTime(350);
    cancel();
    vi.advanceTimersByTime(1_000);
    expect(calls).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells wall time and monotonic time', () => {
    vi.setSystemTime(new Date('2030-01-01'));
    expect(systemClock.wallNow()).toBe(new Date('2030-01-01').getTime());
    const before = systemClock.now();
    vi.advanceTimersByTime(500);
    expect(systemClock.now() - before).toBeCloseTo(500, 0);
    vi.setSystemTime(new Date('2020-01-01'));
    expect(systemClock.now()).toBeGreaterThanOrEqual(before + 500);
  });
});

describe('after io', () => {
  test('comes after a whole turn of the loop', async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      systemClock.afterIo(() => {
        order.push('after io');
        resolve();
      });
      setImmediate(() => order.push('this turn'));
    });
    expect(order).toEqual(['this turn', 'after io']);
  });

  test('does not come once it was cancelled, not even between its two turns', async () => {
    let calls = 0;
    const first = systemClock.afterIo(() => {
      calls += 1;
    });
    first();
    const second = systemClock.afterIo(() => {
      calls += 1;
    });
    await new Promise((resolve) => setImmediate(resolve));
    second();
    for (let n = 0; n < 4; n++) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
  });
});

describe('chance', () => {
  test('gives numbers in [0, 1) and ids of 12 characters that differ', () => {
    const ids = new Set<string>();
    for (let n = 0; n < 1_000; n++) {
      const number = systemClock.random();
      expect(number >= 0 && number < 1).toBe(true);
      const id = systemClock.id();
      expect(id).toMatch(/^[0-9A-Za-z]{12}$/);
      ids.add(id);
    }
    expect(ids.size).toBe(1_000);
  });
});
