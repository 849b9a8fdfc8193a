import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SqliteCheckpointStore } from '../../../consume/sqliteStore.ts';
import { effectsOn, openDatabase } from './stage.ts';

const program = fileURLToPath(new URL('./program.mjs', import.meta.url));

export interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly lines: string[];
}

/**
 * Runs the program of this folder, as built, to its end.
 * @param onLine called with every line that it says, and with the process, which may be killed
 */
export function runProgram(
  task: 'boot' | 'share' | 'once',
  file: string,
  events: number,
  { killAt, onLine }: { killAt?: number; onLine?: (line: string, child: ChildProcess) => void } = {},
): Promise<Ended> {
  const env = killAt === undefined ? process.env : { ...process.env, HOLDFAST_KILL_AT: String(killAt) };
  const child = spawn(process.execPath, [program, task, file, String(events)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      onLine?.(line, child);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, lines }));
  });
}

/** An empty database of the program's, on disk. */
export function prepareDatabase(file: string): void {
  openDatabase(file).close();
}

/** What a file holds: effects by what had them, and positions. */
export function contentOf(file: string): { effects: Record<string, number[]>; positions: Record<string, number> } {
  const db = openDatabase(file);
  const effects: Record<string, number[]> = {};
  for (const text of effectsOn(db).effects()) {
    const [name = '', event = ''] = text.split(' ');
    effects[name] = [...(effects[name] ?? []), Number(event)];
  }
  const records = new SqliteCheckpointStore(db).list('default');
  db.close();
  return { effects, positions: Object.fromEntries(records.map(({ id, position }) => [id, position?.offset ?? 0])) };
}

/** Lets the time pass after which the lease of a crashed process is free. */
export function expireLease(file: string): void {
  const db = openDatabase(file);
  const store = new SqliteCheckpointStore(db);
  const lease = store.lease('default');
  if (lease !== undefined) store.saveLease('default', { ...lease, renewedAt: lease.renewedAt - lease.ttlMs });
  db.close();
}

export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
