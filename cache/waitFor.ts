import { CANCEL_CODE, CallError, type Clock, DEADLINE_EXCEEDED_CODE } from '../router/index.ts';
import { InvalidArgumentError } from '../watch/errors.ts';

/** How long somebody waits. */
export interface WaitOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** @throws {InvalidArgumentError} */
export function checkTimeout({ timeoutMs = 0 }: WaitOptions): void {
  if (!(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw new InvalidArgumentError(`expected timeoutMs of 0 or more, got ${timeoutMs} (${typeof timeoutMs})`);
  }
}

/**
 * Waits for something that others may be waiting for, too: giving up is one's own affair.
 * @throws {CallError} DEADLINE_EXCEEDED or CANCEL, as a call of the router would
 */
export function waitFor<T>(outcome: Promise<T>, clock: Clock, { timeoutMs, signal }: WaitOptions): Promise<T> {
  const isBounded = timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY;
  if (!isBounded && signal === undefined) return outcome;
  if (signal?.aborted === true) return Promise.reject(cancelled());
  return new Promise((resolve, reject) => {
    // Whoever gives up holds neither timer nor listener until the others have their value.
    const settle = (act: () => void): void => {
      cancelTimer?.();
      signal?.removeEventListener('abort', onAbort);
      act();
    };
    const onAbort = (): void => settle(() => reject(cancelled()));
    const cancelTimer = isBounded ? clock.after(timeoutMs, () => settle(() => reject(tooLate(timeoutMs)))) : undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    outcome.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

function cancelled(): CallError {
  return new CallError({ code: CANCEL_CODE, message: 'the caller gave up' });
}

function tooLate(timeoutMs: number): CallError {
  return new CallError({
    code: DEADLINE_EXCEEDED_CODE,
    message: `expected an answer within ${timeoutMs} ms, got none`,
  });
}
