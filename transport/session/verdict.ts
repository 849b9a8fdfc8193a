import type { CancelTimer } from '../clock.ts';
import type { SessionEnvironment } from './core.ts';

/**
 * Calls `onVerdict` when `ms` have passed without the peer being heard, where "without being heard" is certain. After a
 * stall of this process what the peer said waits unread: a tick that is late by more than half a heartbeat gives the peer
 * the time of one handshake more, and every verdict waits until what has already arrived was read.
 */
export function verdictAfter(env: SessionEnvironment, ms: number, onVerdict: () => void): CancelTimer {
  const { clock, wheel, options } = env;
  let cancel: CancelTimer = () => undefined;
  const wait = (waitMs: number): void => {
    cancel = wheel.after(waitMs, (lateMs) => {
      if (lateMs > options.heartbeatIntervalMs / 2) wait(options.handshakeTimeoutMs);
      else cancel = clock.afterIo(onVerdict);
    });
  };
  wait(Math.max(0, ms));
  return () => cancel();
}
