import type { CancelTimer, Clock } from '../../../transport/clock.ts';
import { Phase, type SimEvent } from './eventHeap.ts';
import type { Host } from './host.ts';
import { Random } from './random.ts';

/** Who owns a timer: leak checks ask. */
export type TimerOwner = 'transport' | 'application';

interface SimTimer {
  readonly owner: TimerOwner;
  readonly fn: () => void;
  readonly periodMs: number | undefined;
  dueAt: number;
  event: SimEvent | undefined;
}

/**
 * Time, timers, randomness and ids of one process. Timers are known by the order in which they were made, which is the
 * same in every image of the process.
 */
export class ProcessClock {
  readonly #host: Host;
  #random: Random;
  readonly #timers = new Map<number, SimTimer>();
  #timerCount = 0;
  readonly #waiting = new Map<number, () => void>();
  #waitingCount = 0;

  constructor(host: Host, seed: number) {
    this.#host = host;
    this.#random = new Random(seed);
  }

  /** The clock as it is handed to whoever `owner` says. */
  for(owner: TimerOwner): Clock {
    return {
      now: () => this.#host.now,
      wallNow: () => 1_700_000_000_000 + this.#host.now,
      after: (ms, fn) => this.#add(owner, ms, undefined, fn),
      every: (ms, fn) => this.#add(owner, ms, ms, fn),
      random: () => this.#random.next(),
      id: () => this.#random.id(),
      afterIo: (fn) => this.#afterIo(fn),
    };
  }

  /** Timers that wait. */
  count(owner: TimerOwner): number {
    let count = 0;
    for (const timer of this.#timers.values()) if (timer.owner === owner) count += 1;
    return count;
  }

  /** Callbacks that wait until what has arrived was read. */
  get waitingForIo(): number {
    return this.#waiting.size;
  }

  /** From now on other random numbers: what a machine gets that is restored from a snapshot. */
  reseed(seed: number): void {
    this.#random = new Random(seed);
  }

  /** The image has caught up with its life: what it waits for will happen. */
  goLive(): void {
    for (const [index, timer] of this.#timers) this.#arm(index, timer);
    for (const index of this.#waiting.keys()) this.#armIo(index);
  }

  fire(index: number): void {
    const timer = this.#timers.get(index);
    if (timer === undefined) return;
    if (timer.periodMs === undefined) this.#timers.delete(index);
    else {
      timer.dueAt = this.#host.now + timer.periodMs;
      this.#arm(index, timer);
    }
    timer.fn();
  }

  runAfterIo(index: number): void {
    const fn = this.#waiting.get(index);
    this.#waiting.delete(index);
    fn?.();
  }

  #add(owner: TimerOwner, ms: number, periodMs: number | undefined, fn: () => void): CancelTimer {
    const index = this.#timerCount++;
    const timer: SimTimer = { owner, fn, periodMs, dueAt: this.#host.now + ms, event: undefined };
    this.#timers.set(index, timer);
    this.#arm(index, timer);
    return () => {
      this.#timers.delete(index);
      if (timer.event !== undefined) timer.event.isCancelled = true;
    };
  }

  #arm(index: number, timer: SimTimer): void {
    timer.event = this.#host.schedule(timer.dueAt, Phase.Timer, (host) => host.time.fire(index));
  }

  #afterIo(fn: () => void): CancelTimer {
    const index = this.#waitingCount++;
    this.#waiting.set(index, fn);
    this.#armIo(index);
    return () => this.#waiting.delete(index);
  }

  #armIo(index: number): void {
    this.#host.schedule(this.#host.now, Phase.AfterIo, (host) => host.time.runAfterIo(index));
  }
}
