import type { Clock } from '../../../../transport/clock.ts';

/** Waits, but not beyond the end of what `signal` belongs to. */
export function pauseOf(clock: Clock, ms: number, signal?: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const stop = clock.after(ms, () => {
      signal?.removeEventListener('abort', end);
      resolve();
    });
    const end = (): void => {
      stop();
      resolve();
    };
    signal?.addEventListener('abort', end, { once: true });
  });
}
