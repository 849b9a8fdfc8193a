import { setTimeout as pause } from 'node:timers/promises';

/** What a process uses, in bytes. */
export interface Memory {
  rss: number;
  heapUsed: number;
  /** The largest RSS since the process began. */
  peakRss: number;
}

/** What this process uses now; after a garbage collection where asked for. */
export async function memory({ collected }: { collected: boolean }): Promise<Memory> {
  if (collected) await collect();
  const { rss, heapUsed } = process.memoryUsage();
  // In kilobytes, whatever the platform.
  return { rss, heapUsed, peakRss: process.resourceUsage().maxRSS * 1024 };
}

/** The first frees what was reachable through what closes in the turn after it; the second, that. */
async function collect(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('run node with --expose-gc');
  for (let i = 0; i < 2; i++) {
    await pause(20);
    globalThis.gc();
  }
}
