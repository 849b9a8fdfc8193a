import { type Clock, systemClock } from '../../transport/clock.ts';

/** The microtasks that are there run, and those that they ask for: turns of the library, but none of the loop. */
export async function microtasks(): Promise<void> {
  for (let i = 0; i < 5; i++) await undefined;
}

/** The system's clock, but that its loop comes round when the test says so. */
export class ManualLoop {
  readonly clock: Clock = {
    ...systemClock,
    afterIo: (fn) => {
      this.#turns.push(fn);
      return () => {
        this.#turns = this.#turns.filter((other) => other !== fn);
      };
    },
  };
  #turns: (() => void)[] = [];

  /** What was asked for is done; what it asks for waits for the next turn. */
  turn(): void {
    const due = this.#turns;
    this.#turns = [];
    for (const fn of due) fn();
  }

  /** How much waits for the next turn. */
  get askedFor(): number {
    return this.#turns.length;
  }
}
