import type { CancelTimer } from '../clock.ts';
import type { SessionEnvironment } from './environment.ts';

/**
 * Calls `onVerdict` when `ms` have passed without the peer being heard, where "without being heard" is certain. After a
 * stall of this process what the peer said waits unread: a tick that is late by more than half a heartbeat gives the peer
 * the time of one handshake more, and every verdict waits until what has already arrived was read.
 */
export function verdictAfter(env: SessionEnvironment, ms: number, onVerdict: () => void): CancelTimer {
  const { verdicts, wheel, options } = env;
  const judge = (): void => {
    cancel = verdicts.add(onVerdict);
  };
  let cancel = wheel.after(Math.max(0, ms), (lateMs) => {
    // Once: where every timer is late, as in a background tab, there would be no end to it.
    if (lateMs > options.heartbeatIntervalMs / 2) cancel = wheel.after(options.handshakeTimeoutMs, judge);
    else judge();
  });
  return () => cancel();
}
