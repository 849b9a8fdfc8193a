import type { Clock } from '../../transport/clock.ts';

/** Time that stands still: nothing happens but what a test does. Timers are taken and never fire. */
export class StillClock implements Clock {
  #ids = 0;

  now(): number {
    return 1_000_000;
  }

  wallNow(): number {
    return 1_700_000_000_000;
  }

  random(): number {
    return 0;
  }

  id(): string {
    this.#ids += 1;
    return String(this.#ids).padStart(12, '0');
  }

  after(): () => void {
    return () => undefined;
  }

  every(): () => void {
    return () => undefined;
  }

  afterIo(): () => void {
    return () => undefined;
  }
}
