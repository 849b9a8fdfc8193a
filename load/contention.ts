import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10;

let oursMs = 0;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or the process is gone.
    return undefined;
  }
}

/** Counts the processor time of one of our processes, which is about to end. */
export function countAsOurs(pid: number | undefined): void {
  // The name, in parentheses, may hold blanks; user and system time are the 12th and 13th field after it.
  const fields = read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ');
  oursMs += (Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) * TICK_MS;
}

/** Processor time of the whole machine but idle, in milliseconds; undefined where nobody can tell. */
function busyMs(): number | undefined {
  const fields = read('/proc/stat')?.split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number);
  if (fields === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softirq + steal) * TICK_MS;
}

/**
 * How much of all cores others used since this was called: what is measured on a busy machine is worse than what it is.
 * @returns the share so far, of all cores; undefined where nobody can tell. Only what {@link countAsOurs} was told of is ours
 */
export function watchOthers(): () => number | undefined {
  const own = () => oursMs + (process.cpuUsage().user + process.cpuUsage().system) / 1_000;
  const [startedAt, ownBefore, busyBefore] = [performance.now(), own(), busyMs()];
  return () => {
    const busy = busyMs();
    if (busy === undefined || busyBefore === undefined) return undefined;
    const others = busy - busyBefore - (own() - ownBefore);
    return Math.max(0, others) / (performance.now() - startedAt) / cpus().length;
  };
}
