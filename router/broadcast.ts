import { SharedValue } from './sharedValue.ts';
import { type Writable, WritableHalf } from './writable.ts';

/**
 * Writes one value to many writables: the responses of a server's subscriptions and streams. The same as `write` for each,
 * but the value is checked once and encoded once, however many there are.
 * @returns those whose reader is too far behind, where `write` would have returned false, and those that are closed. What to do about them is yours: wait
 *   with `waitForWriteReady()`, leave them out of the next, or close them
 */
export function broadcast<T>(writables: Iterable<Writable<T>>, value: T): Writable<T>[] {
  const shared = new SharedValue(value);
  const behind: Writable<T>[] = [];
  for (const writable of writables) {
    // One that somebody has closed must not keep the others from hearing of it.
    const isReady =
      writable.isWritable() &&
      (writable instanceof WritableHalf ? writable.writeShared(shared) : writable.write(value));
    if (!isReady) behind.push(writable);
  }
  return behind;
}
