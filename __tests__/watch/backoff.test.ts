import { expect, test } from 'vitest';
import { Backoff } from '../../watch/backoff.ts';
import { quietClock } from './support/clock.ts';

/** A backoff, and how long it waits after a failure. */
function setup() {
  const clock = quietClock();
  const backoff = new Backoff(clock);
  const wait = async () => {
    const from = clock.now();
    let tookMs: number | undefined;
    backoff.failed(() => {
      tookMs = clock.now() - from;
    });
    await clock.advance(15_000);
    expect(tookMs).toBeDefined();
    return tookMs ?? 0;
  };
  const expectWait = async (ceiling: number) => {
    const ms = await wait();
    expect(ms).toBeGreaterThanOrEqual(ceiling / 2);
    expect(ms).toBeLessThanOrEqual(ceiling);
  };
  return { clock, backoff, expectWait };
}

test('each wait is up to twice the last, at most 15 s', async () => {
  const { expectWait } = setup();
  for (const ceiling of [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]) await expectWait(ceiling);
});

test('what has worked for ten seconds begins with short waits again, what has not goes on', async () => {
  const { clock, backoff, expectWait } = setup();
  await expectWait(200);
  await expectWait(400);
  backoff.succeeded();
  await clock.advance(9_999);
  backoff.succeeded(); // still
  await expectWait(800);
  // It has not worked since.
  await expectWait(1_600);
  backoff.succeeded();
  await clock.advance(10_000);
  await expectWait(200);
});

test('what is done begins anew, and nothing waits any more', async () => {
  const { clock, backoff, expectWait } = setup();
  await expectWait(200);
  backoff.failed(() => {
    throw new Error('it was cancelled');
  });
  expect(backoff.isWaiting).toBe(true);
  backoff.reset();
  expect([backoff.isWaiting, clock.pendingTimers]).toEqual([false, 0]);
  await expectWait(200);
});
