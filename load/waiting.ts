import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds since the epoch with fractions: comparable between processes of one machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Looks every `everyMs` whether it is so. Returns when it was, as {@link wallMs}; undefined after `timeoutMs`. */
export async function until(isSo: () => boolean, timeoutMs: number, everyMs = 20): Promise<number | undefined> {
  const end = performance.now() + timeoutMs;
  while (!isSo()) {
    if (performance.now() > end) return undefined;
    await pause(everyMs);
  }
  return wallMs();
}

/**
 * Stops the whole process until the file `path` is there: nothing is read from any socket meanwhile. That it has stopped
 * is told by another file, {@link heldAt}.
 * @throws {Error} after `timeoutMs`
 */
export function holdUntil(path: string, timeoutMs: number): void {
  writeFileSync(heldAt(path), '');
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + timeoutMs;
  while (!existsSync(path)) {
    if (performance.now() > end) throw new Error(`held for ${timeoutMs} ms, and ${path} did not come`);
    Atomics.wait(cell, 0, 0, 5);
  }
}

/** Exists once a process stands still for `path`. */
export function heldAt(path: string): string {
  return `${path}.held`;
}

/** Starts `count` things, at most `width` of them at a time. */
export async function inWaves(count: number, width: number, start: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await start(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
