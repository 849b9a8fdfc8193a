import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Commands, Order, Report } from './commands.ts';
import { countAsOurs } from './contention.ts';

/** The server has a core to itself; clients, and whatever else runs, the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

/** True where processes can be pinned to a core. */
export function canPin(cores: number): boolean {
  return cores > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;
}

interface Asked {
  resolve: (answer: unknown) => void;
  reject: (error: Error) => void;
}

/** What a command takes, and how long it may last, in milliseconds. */
type Asking<F extends (argument: never) => unknown> =
  Parameters<F> extends [infer Argument] ? [argument: Argument, timeoutMs?: number] : [];

/** Which script a process runs, and how. */
export interface WorkerOptions {
  /** Default: the one of its name beside this file. */
  script?: URL;
  /** What the script finds in `process.argv`. */
  scriptArguments?: readonly string[];
}

const running = new Set<ChildProcess>();

/** Ends every process that was started, at once. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** A process of ours, and what it can be told to do. */
export class Worker<C extends Commands> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, Asked>();
  readonly #gone: Promise<void>;
  #next = 0;

  /**
   * @param name for messages; of the script beside this one, without its ending, where no other is given
   * @param core to run on; undefined: any
   */
  constructor(name: string, core: number | undefined, { script, scriptArguments = [] }: WorkerOptions = {}) {
    this.#name = name;
    const path = fileURLToPath(script ?? new URL(`./${name}.js`, import.meta.url));
    const node = [process.execPath, '--expose-gc', path, ...scriptArguments];
    const [command = '', ...args] = core === undefined ? node : ['taskset', '-c', String(core), ...node];
    this.#child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    running.add(this.#child);
    this.#child.on('message', (message) => this.#onReport(message as Report)); // our own process, our own type
    this.#child.on('error', (error) => this.#failAll(error));
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        running.delete(this.#child);
        this.#failAll(new Error(`${name} ended with ${code ?? signal}`));
        resolve();
      });
    });
  }

  /** Tells the process to do something; rejects if it fails, ends, or has not answered within `timeoutMs`. */
  ask<K extends keyof C & string>(
    name: K,
    ...[argument, timeoutMs = 60_000]: Asking<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => asked.reject(new Error(`${this.#name} did not answer '${name}' within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = () => {
        clearTimeout(timer);
        this.#asked.delete(id);
      };
      const asked: Asked = {
        resolve: (answer) => {
          settle();
          resolve(answer as Awaited<ReturnType<C[K]>>); // of the command that C says it is
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.#asked.set(id, asked);
      this.#child.send({ id, name, argument } satisfies Order, (error) => {
        if (error !== null) asked.reject(error);
      });
    });
  }

  /** Ends the process at once, as a crash would. */
  async kill(): Promise<void> {
    countAsOurs(this.#child.pid);
    this.#child.kill('SIGKILL');
    await this.#gone;
  }

  #onReport(report: Report): void {
    const asked = this.#asked.get(report.id);
    if ('failure' in report) asked?.reject(new Error(`${this.#name}: ${report.failure}`));
    else asked?.resolve(report.answer);
  }

  #failAll(error: Error): void {
    for (const asked of [...this.#asked.values()]) asked.reject(error);
  }
}
