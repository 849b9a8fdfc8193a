import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { Intent } from '../../transport/intent.ts';

const options = {
  baseIntervalMs: 100,
  maxJitterMs: 0,
  maxBackoffMs: 32_000,
  attemptBudgetCapacity: Number.POSITIVE_INFINITY,
};

function setup() {
  const clock = new VirtualClock(() => Promise.resolve());
  return { clock, intent: new Intent('SERVER', options, clock) };
}

describe('the wait before the next dial', () => {
  test('grows with every failure', () => {
    const { intent } = setup();
    const waits = [1, 2, 3].map(() => {
      intent.failed();
      return intent.waitMs;
    });
    expect(waits).toEqual([100, 200, 400]);
  });

  test('is at most half of the time that the session has left, and at least the first backoff', () => {
    const { clock, intent } = setup();
    for (let i = 0; i < 9; i++) intent.failed();
    const now = clock.now();
    expect(intent.waitMs).toBe(25_600);
    expect(intent.waitMsWithin(now + 60_000)).toBe(25_600);
    expect(intent.waitMsWithin(now + 30_000)).toBe(15_000);
    expect(intent.waitMsWithin(now + 1_000)).toBe(500);
    expect(intent.waitMsWithin(now + 10)).toBe(100);
  });

  test('is short after a connection that held, and grows with those that do not', () => {
    const { intent } = setup();
    intent.connected();
    intent.settled();
    intent.dropped();
    expect(intent.waitMs).toBe(0);
    for (const expected of [100, 200, 400]) {
      intent.connected();
      intent.dropped();
      expect(intent.waitMs).toBe(expected);
    }
  });

  test('is over, and forgotten, when the network is back', () => {
    const { intent } = setup();
    for (let i = 0; i < 9; i++) intent.failed();
    intent.endBackoff();
    expect(intent.waitMs).toBe(0);
    intent.failed();
    expect(intent.waitMs).toBe(100);
  });
});
