import { cpus } from 'node:os';
import { CLIENT_CORE, canPin, killAll, SERVER_CORE } from '../load/worker.ts';
import type { Cores } from './pair.ts';

/** Servers on one core, clients on the other, where that can be done. */
export function coresToUse(): Cores {
  const pinned = canPin(cpus().length);
  return { server: pinned ? SERVER_CORE : undefined, client: pinned ? CLIENT_CORE : undefined };
}

/** However this process ends, its children end with it; and it ends, after `giveUpMs` with an error. */
export function endWithChildren(giveUpMs: number): void {
  process.on('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
  // What fails in a worker, or is found not to be so, fails the run.
  process.on('uncaughtException', (error) => {
    console.error(`the run failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    process.exit(1);
  });
  const giveUp = () => {
    console.error(`the run did not end within ${giveUpMs / 1_000} s`);
    process.exit(1);
  };
  setTimeout(giveUp, giveUpMs).unref();
}
