import type { CancelTimer, Clock } from '../clock.ts';
import { type TimerWheel, WheelEntry } from '../wheel.ts';
import type { VerdictQueue } from './verdictQueue.ts';

/** What liveness needs of its session. */
export interface LivenessHooks {
  readonly verdicts: VerdictQueue;
  /** Sends one beat. False if it could not leave. */
  beat(): boolean;
  /** Whether a frame was heard since this was asked last. */
  takeHeard(): boolean;
  /** Bytes that the connection has read, parts of frames included; undefined where nobody can tell. */
  bytesRead(): number | undefined;
  /** The verdict: nothing was heard for too long. */
  onSilent(): void;
}

/**
 * Liveness on both sides counts ticks, never elapsed time: after a stall of this process every peer looks silent,
 * although what it said waits unread. A tick that is late by more than half an interval counts nothing, and a verdict
 * is taken only after what has already arrived was read.
 */
export abstract class Liveness extends WheelEntry {
  protected readonly hooks: LivenessHooks;
  readonly #limit: number;
  #heard = false;
  #misses = 0;
  #bytesRead: number | undefined;
  #cancelVerdict: CancelTimer | undefined;

  constructor(hooks: LivenessHooks, limit: number) {
    super();
    this.hooks = hooks;
    this.#limit = limit;
  }

  /** Starts ticking. The first tick comes at a random phase, so that sessions do not tick together. */
  start(clock: Clock, wheel: TimerWheel, intervalMs: number): void {
    wheel.add(this, intervalMs * (0.5 + clock.random() / 2), intervalMs);
  }

  stop(wheel: TimerWheel): void {
    wheel.remove(this);
    this.#cancelVerdict?.();
  }

  /** True if silence since the last tick says something. */
  protected abstract get expectsAnswer(): boolean;
  /** After the tick was judged. */
  protected abstract afterTick(): void;

  /** Any bytes count as life: a large frame on a slow line long before it is whole. */
  #listen(): void {
    const hasFrame = this.hooks.takeHeard();
    const bytesRead = this.hooks.bytesRead();
    if (hasFrame || bytesRead !== this.#bytesRead) {
      this.#heard = true;
      this.#misses = 0;
    }
    this.#bytesRead = bytesRead;
  }

  onDue(lateMs: number): void {
    const late = lateMs > this.periodMs / 2;
    this.#listen();
    if (!this.#heard && !late && this.expectsAnswer) this.#misses += 1;
    this.#heard = false;
    if (this.#misses >= this.#limit) {
      this.#cancelVerdict ??= this.hooks.verdicts.add(() => {
        this.#cancelVerdict = undefined;
        this.#listen();
        if (this.#misses >= this.#limit) this.hooks.onSilent();
      });
    }
    this.afterTick();
  }
}

/** The server's side: beats, and counts the intervals in which a beat really left and nothing followed. */
export class Beat extends Liveness {
  #beatLeft = false;

  protected get expectsAnswer(): boolean {
    return this.#beatLeft;
  }

  protected afterTick(): void {
    this.#beatLeft = this.hooks.beat();
  }
}

/** The client's side: never beats by itself (browsers throttle timers), and watches that the server does. */
export class Watchdog extends Liveness {
  protected get expectsAnswer(): boolean {
    return true;
  }

  protected afterTick(): void {}
}
