import type { CancelTimer, Clock } from '../../transport/clock.ts';

/** The clock of a device that may sleep: meanwhile its monotonic time stands still, as it does in most browsers. */
export class SleepyClock implements Clock {
  readonly #clock: Clock;
  #asleepSince: number | undefined;
  #slept = 0;

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
    return this.#clock.wallNow();
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
