import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Log } from './log.ts';

/** A process of the play, and what it reports. */
export class Actor<M extends { type: string }> {
  readonly name: string;
  readonly reports = new Log<M>();
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #isExpected = false;

  constructor(name: string, process: ChildProcess, onUnexpectedEnd: (error: Error) => void) {
    this.name = name;
    this.#process = process;
    process.on('message', (message) => this.reports.add(message as M)); // our own processes, our own union
    this.#ended = once(process, 'exit').then(([code, signal]) => {
      if (!this.#isExpected) onUnexpectedEnd(new Error(`${name} ended by itself, with ${signal ?? code}`));
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The first report of a type that fits, as soon as there is one. */
  async said<T extends M['type']>(
    type: T,
    fits: (report: Extract<M, { type: T }>) => boolean = () => true,
  ): Promise<Extract<M, { type: T }>> {
    type Wanted = Extract<M, { type: T }>;
    // The casts: `type` tells which of the union it is.
    return (await this.reports.until((report) => report.type === type && fits(report as Wanted))) as Wanted;
  }

  /** Tells it something, which it hears as `process.on('message')`. */
  tell(message: object): void {
    this.#process.send(message);
  }

  /** Kills it without a warning, as a power cut would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#isExpected = true;
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}
