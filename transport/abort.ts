/** Who listens to which signal. */
const listening = new WeakMap<AbortSignal, Set<() => void>>();

function tellAll(this: AbortSignal): void {
  const listeners = listening.get(this);
  listening.delete(this);
  for (const listener of listeners ?? []) listener();
}

/**
 * Calls `listener` when `signal` is aborted; not if it has been already. One event listener for all of them: a signal may end
 * hundreds of calls, and Node warns of a leak from the eleventh on.
 * @param listener does not throw
 * @returns how to withdraw it
 */
export function onceAborted(signal: AbortSignal, listener: () => void): () => void {
  let listeners = listening.get(signal);
  if (listeners === undefined) {
    listeners = new Set();
    listening.set(signal, listeners);
    signal.addEventListener('abort', tellAll, { once: true });
  }
  const others = listeners;
  others.add(listener);
  return () => {
    if (!others.delete(listener) || others.size > 0 || listening.get(signal) !== others) return;
    listening.delete(signal);
    signal.removeEventListener('abort', tellAll);
  };
}
