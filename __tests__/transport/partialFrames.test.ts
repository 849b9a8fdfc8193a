import { expect, test } from 'vitest';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { Watchdog } from '../../transport/session/heartbeat.ts';
import { VerdictQueue } from '../../transport/session/verdictQueue.ts';
import { TimerWheel } from '../../transport/wheel.ts';

const INTERVAL_MS = 1_000;
const MISSES = 4;

/** A watchdog on a connection that reads `bytesPerSecond` and never a whole frame. */
async function verdictsOver(seconds: number, bytesPerSecond: number): Promise<number> {
  const turns = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
  const clock = new VirtualClock(turns);
  const startedAt = clock.now();
  let verdicts = 0;
  const wheel = new TimerWheel(clock, 10, () => undefined);
  const watchdog = new Watchdog(
    {
      verdicts: new VerdictQueue(clock, () => undefined),
      beat: () => false,
      takeHeard: () => false,
      bytesRead: () => Math.floor(((clock.now() - startedAt) / 1_000) * bytesPerSecond),
      onSilent: () => {
        verdicts += 1;
      },
    },
    MISSES,
  );
  watchdog.start(clock, wheel, INTERVAL_MS);
  await clock.advance(seconds * 1_000);
  watchdog.stop(wheel);
  return verdicts;
}

test('a large frame on a slow line is life, long before it is whole', async () => {
  expect(await verdictsOver(60, 1_000)).toBe(0);
});

test('a line that reads nothing is silent', async () => {
  expect(await verdictsOver(10, 0)).toBeGreaterThan(0);
});
