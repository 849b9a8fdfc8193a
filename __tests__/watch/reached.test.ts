import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { WatchClosedError } from '../../watch/errors.ts';
import { ReachedWaiters } from '../../watch/reached.ts';
import { quietClock } from './support/clock.ts';

const at = (offset: number, epoch = 'E') => ({ epoch, offset });

test.each(['reached', 'late', 'given up', 'of another epoch', 'closed'])(
  'of one who waits nothing is left: %s',
  async (how) => {
    const clock = quietClock();
    const waiters = new ReachedWaiters(clock, at(0));
    const controller = new AbortController();
    const codes: Promise<string>[] = [at(2), at(1), at(5, 'F')].map((position) =>
      waiters.wait(position, { timeoutMs: 100, signal: controller.signal }).then(
        () => 'REACHED',
        ({ code }) => code,
      ),
    );
    expect([waiters.size, clock.pendingTimers, getEventListeners(controller.signal, 'abort').length]).toEqual([
      3, 3, 3,
    ]);
    if (how === 'reached') {
      waiters.moveTo(at(2));
      waiters.moveTo(at(5, 'F'));
    } else if (how === 'late') await clock.advance(100);
    else if (how === 'given up') controller.abort();
    else if (how === 'of another epoch') {
      waiters.moveTo(at(4, 'F'));
      waiters.moveTo(at(0, 'G'));
    } else waiters.end(new WatchClosedError('waiting'));
    const all = { reached: 'REACHED', late: 'REACHED_TIMEOUT', 'given up': 'REACHED_ABORTED', closed: 'WATCH_CLOSED' };
    const code = { ...all, 'of another epoch': 'OTHER_EPOCH' }[how] ?? '';
    expect(await Promise.all(codes)).toEqual([code, code, code]);
    expect([waiters.size, clock.pendingTimers, getEventListeners(controller.signal, 'abort').length]).toEqual([
      0, 0, 0,
    ]);
  },
);
