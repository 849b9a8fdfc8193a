import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Actor } from './actor.ts';

/** Whoever hangs is a failure, not a wait. */
const LIMIT_MS = 18_000;

/** Where an example runs: its folder, its processes, what it says, and what it has to show. */
export class Stage {
  /** For sockets, databases and files; gone at the end. */
  readonly folder: string;
  readonly #beganAt = performance.now();
  readonly #actors: { kill(): Promise<void> }[] = [];
  readonly #cleanups: (() => unknown)[] = [];
  readonly #failed: (error: Error) => void;
  #isGood = true;
  #checks = 0;

  constructor(folder: string, failed: (error: Error) => void) {
    this.folder = folder;
    this.#failed = failed;
  }

  /** Something was shown, and all of it holds. */
  get holds(): boolean {
    return this.#isGood && this.#checks > 0;
  }

  /** One line of the story, with the time. */
  say(who: string, what: string): void {
    const seconds = ((performance.now() - this.#beganAt) / 1_000).toFixed(2);
    console.log(`${seconds.padStart(6)} s  ${who.padEnd(10)}  ${what}`);
  }

  /** Something that the example shows: false, and the command fails. */
  check(claim: string, holds: boolean, seen?: string | number): void {
    this.#checks += 1;
    this.#isGood &&= holds;
    console.log(`  ${holds ? '✓' : '✗'} ${claim}${seen === undefined ? '' : `: ${seen}`}`);
  }

  /** Starts a script of the example as a process of its own. */
  start<M extends { type: string }>(name: string, script: URL, ...args: string[]): Actor<M> {
    const child = fork(script, args);
    const actor = new Actor<M>(name, child, this.#failed);
    this.#actors.push(actor);
    this.say(name, `starts (process ${actor.pid})`);
    return actor;
  }

  /** Work beside the story: its failure is the story's. */
  alongside(work: Promise<unknown>): void {
    work.catch(this.#failed);
  }

  /** Runs at the end, whatever happens; the last first. */
  atEnd(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async clear(): Promise<void> {
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup();
      } catch (error) {
        console.error(error);
        this.#isGood = false;
      }
    }
    await Promise.all(this.#actors.map((actor) => actor.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Runs an example: exit code 0 if everything it checks holds, 1 if not, or if it does not come to its end in time. */
export async function play(act: (stage: Stage) => Promise<void>): Promise<void> {
  const name = basename(dirname(process.argv[1] ?? fileURLToPath(import.meta.url)));
  let fail: (error: Error) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const stage = new Stage(await mkdtemp(join(tmpdir(), `${name}-`)), (error) => fail(error));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => fail(new Error(`got ${signal}`)));
  const limit = setTimeout(() => fail(new Error(`expected to be done within ${LIMIT_MS} ms`)), LIMIT_MS);
  let isOver = false;
  try {
    await Promise.race([act(stage), failure]);
    isOver = true;
  } catch (error) {
    console.error(error);
  }
  clearTimeout(limit);
  await stage.clear();
  const isGood = isOver && stage.holds;
  console.log(isGood ? `${name}: holds` : `${name}: DOES NOT HOLD`);
  // After a failure something may still wait for what does not come.
  if (!isGood) process.exit(1);
}
