/** True for promises, of this realm or another, and whatever else can be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}

/**
 * Calls somebody else's callback so that nothing it does can harm the caller: what it throws, and what it rejects with if
 * it turns out to be asynchronous, goes to `onError`.
 */
export function callSafely(callback: () => unknown, onError: (error: unknown) => void): void {
  try {
    const outcome = callback();
    if (isThenable(outcome)) Promise.resolve(outcome).catch(onError);
  } catch (error) {
    onError(error);
  }
}
