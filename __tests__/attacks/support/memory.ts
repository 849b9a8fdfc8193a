import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** What lives in this process after a collection: the heap, and memory outside of it that the heap holds. */
export async function liveBytes(): Promise<number> {
  if (typeof collect !== 'function') throw new Error('expected the engine to expose its collector');
  let least = Number.POSITIVE_INFINITY;
  // Buffers are freed by finalizers that run in later turns.
  for (let round = 0; round < 4; round++) {
    // Twice: the second waits until what the first has found was freed. And looked at in the same turn: a socket on its way out may
    // still read and throw away two megabytes in each, which are garbage and not kept by anybody.
    collect();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return least;
}

/** Fails where what lives now is more than a tenth above what lived before. */
export async function expectMemoryBack(before: number): Promise<void> {
  expect(await liveBytes()).toBeLessThan(before * 1.1);
}

/** The memory that `work` makes live at its end, at least 0. */
export async function bytesKeptBy(work: () => unknown): Promise<number> {
  const before = await liveBytes();
  const kept = await work();
  const after = await liveBytes();
  void kept;
  return Math.max(0, after - before);
}
