/** What is done once when the turn is over. */
export interface AtTurnEnd {
  onTurnOver(): void;
}

/**
 * Calls whoever asked for it when the turn is over: a microtask, so that what the promises of one turn send leaves together, and
 * nothing waits for the next turn. One for all sessions of a transport: a microtask each costs an event to 500 subscribers
 * a tenth.
 */
export class TurnEnd {
  #waiting: AtTurnEnd[] = [];
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Nobody is added twice before being called. */
  add(one: AtTurnEnd): void {
    this.#waiting.push(one);
    if (this.#waiting.length === 1) queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      try {
        one.onTurnOver();
      } catch (error) {
        this.#onError(error);
      }
    }
  };
}
