/** What the wait before another attempt depends on. */
interface Backoff {
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly clock: { random(): number };
}

/** How long to wait after the `attempt`-th failure in a row: doubled each time, up to the ceiling, half of it at random. */
export function backoffMs({ retryBaseMs, retryMaxMs, clock }: Backoff, attempt: number): number {
  const full = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(attempt - 1, 60));
  return full / 2 + (clock.random() * full) / 2;
}

/** Wall time may jump: what lies further ahead than any wait is long is due, too. */
export function isDue(retryAt: number, now: number, retryMaxMs: number): boolean {
  return retryAt <= now || retryAt - now > retryMaxMs;
}
