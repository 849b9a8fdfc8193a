import type { CancelTimer, Clock } from '../../transport/clock.ts';

/**
 * The clock of a device that may sleep, and then its monotonic time stands still, as it does in most browsers; and whose
 * date somebody may set.
 */
export class DeviceClock implements Clock {
  readonly #clock: Clock;
  #asleepSince: number | undefined;
  #slept = 0;
  /** By how much the date is wrong. */
  wrongByMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  sleep(): void {
    this.#asleepSince = this.#clock.now();
  }

  wake(): void {
    this.#slept += this.#clock.now() - (this.#asleepSince ?? this.#clock.now());
    this.#asleepSince = undefined;
  }

  now(): number {
    return (this.#asleepSince ?? this.#clock.now()) - this.#slept;
  }

  wallNow(): number {
    return this.#clock.wallNow() + this.wrongByMs;
  }

  after(ms: number, fn: () => void): CancelTimer {
    return this.#clock.after(ms, fn);
  }

  every(ms: number, fn: () => void): CancelTimer {
    return this.#clock.every(ms, fn);
  }

  random(): number {
    return this.#clock.random();
  }

  id(): string {
    return this.#clock.id();
  }

  afterIo(fn: () => void): CancelTimer {
    return this.#clock.afterIo(fn);
  }
}
