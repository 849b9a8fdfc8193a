import type { CancelTimer, Clock } from '../clock.ts';

/** What is done once when the turn is over. */
export interface AtTurnEnd {
  onTurnOver(): void;
}

/**
 * So many sessions that have something to say in one turn were told of the same event. It takes them far longer to say it than the loop to
 * come round.
 */
const MANY = 16;

/**
 * Calls whoever asked for it when the turn is over: a microtask, so that what the promises of one turn send leaves together, and
 * nothing waits for the next turn. One for all sessions of a transport: a microtask each costs an event to 500 subscribers
 * a tenth.
 *
 * Many at once wait until what had arrived by then was read: other events that are there already leave with this one, in one write to
 * each instead of one for every event. Where nothing else has arrived, the loop comes round at once. Whoever speaks meanwhile,
 * and is not one of them, does not wait for them.
 */
export class TurnEnd {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #waiting: AtTurnEnd[] = [];
  #later: AtTurnEnd[] = [];
  #cancelLater: CancelTimer | undefined;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** True while many wait for more than their turn's end. */
  get holdsBack(): boolean {
    return this.#cancelLater !== undefined;
  }

  /** Nobody is added twice before being called. */
  add(one: AtTurnEnd): void {
    this.#waiting.push(one);
    if (this.#waiting.length === 1) queueMicrotask(this.#turnOver);
  }

  /** Calls nobody who waits for more than this turn's end: the transport has closed. */
  close(): void {
    this.#cancelLater?.();
    this.#cancelLater = undefined;
    this.#later = [];
  }

  readonly #turnOver = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length < MANY) return this.#call(waiting);
    if (this.holdsBack) {
      for (const one of waiting) this.#later.push(one);
      return;
    }
    this.#later = waiting;
    this.#cancelLater = this.#clock.afterIo(this.#read);
  };

  readonly #read = (): void => {
    const later = this.#later;
    this.#later = [];
    this.#cancelLater = undefined;
    this.#call(later);
  };

  #call(waiting: readonly AtTurnEnd[]): void {
    for (const one of waiting) {
      try {
        one.onTurnOver();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
