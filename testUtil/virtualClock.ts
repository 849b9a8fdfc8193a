import type { CancelTimer, Clock } from '../transport/clock.ts';
import { randomId } from '../transport/id.ts';

interface Timer {
  dueAt: number;
  order: number;
  periodMs: number | undefined;
  fn: () => void;
}

/**
 * Time that moves when it is told to. Timers and time are virtual; `afterIo` is the real event loop's, because the
 * sockets under test are real. Nothing sleeps: {@link advance} lets the loop settle after every timer it fires.
 */
export class VirtualClock implements Clock {
  #now = 1_000_000;
  #order = 0;
  readonly #timers = new Set<Timer>();
  readonly #afterIo = new Set<object>();
  readonly #settle: () => Promise<void>;

  /** @param settle lets whatever is under way come to rest, without time passing */
  constructor(settle: () => Promise<void>) {
    this.#settle = settle;
  }

  now(): number {
    return this.#now;
  }

  /** So much time passes in which this process is busy: no timer fires. */
  pass(ms: number): void {
    this.#now += ms;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#now;
  }

  random(): number {
    return Math.random();
  }

  id(): string {
    return randomId();
  }

  after(ms: number, fn: () => void): CancelTimer {
    return this.#add({ dueAt: this.#now + ms, order: this.#order++, periodMs: undefined, fn });
  }

  every(ms: number, fn: () => void): CancelTimer {
    return this.#add({ dueAt: this.#now + ms, order: this.#order++, periodMs: ms, fn });
  }

  afterIo(fn: () => void): CancelTimer {
    const token = {};
    this.#afterIo.add(token);
    let handle = setImmediate(() => {
      handle = setImmediate(() => {
        this.#afterIo.delete(token);
        fn();
      });
    });
    return () => {
      clearImmediate(handle);
      this.#afterIo.delete(token);
    };
  }

  /** Timers that wait for their time. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Callbacks that wait for the loop. */
  get pendingIo(): number {
    return this.#afterIo.size;
  }

  #add(timer: Timer): CancelTimer {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt > until) continue;
      if (next === undefined || timer.dueAt < next.dueAt || (timer.dueAt === next.dueAt && timer.order < next.order))
        next = timer;
    }
    return next;
  }

  /** Moves time forward, firing what is due in order, and settles between any two timers. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.#settle();
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#now = Math.max(this.#now, timer.dueAt);
      this.#fire(timer);
      await this.#settle();
    }
    this.#now = Math.max(this.#now, until);
    await this.#settle();
  }

  /** Lets the process stall: time passes, and everything that fell due meanwhile fires at once, late. */
  async stall(ms: number): Promise<void> {
    await this.#settle();
    await this.stallAtOnce(ms);
  }

  /** The same, from this very moment: what has been sent just now waits unread until the stall is over. */
  async stallAtOnce(ms: number): Promise<void> {
    this.#now += ms;
    const due = [...this.#timers]
      .filter((timer) => timer.dueAt <= this.#now)
      .sort((a, b) => a.dueAt - b.dueAt || a.order - b.order);
    for (const timer of due) if (this.#timers.has(timer)) this.#fire(timer);
    await this.#settle();
  }

  #fire(timer: Timer): void {
    if (timer.periodMs === undefined) this.#timers.delete(timer);
    else timer.dueAt = this.#now + timer.periodMs;
    timer.fn();
  }
}
