interface Consumable {
  readonly _isConsumed: boolean;
}

/**
 * Runs events to completion, one after the other: what happens during an event waits for its end. So a transition
 * inside `onEnter`, a listener that closes the session it is told about, and a connection that answers synchronously
 * are all safe. An event whose state is consumed by its turn is dropped.
 */
export class EventQueue {
  readonly #onError: (error: unknown) => void;
  #waiting: (() => void)[] = [];
  #next = 0;
  #busy = false;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Handles what happened to `state`, now or when its turn comes. No closure is made where the queue is idle. */
  post<S extends Consumable, A>(state: S, handle: (state: S, argument: A) => void, argument: A): void {
    if (this.#busy) {
      this.#waiting.push(() => {
        if (!state._isConsumed) handle(state, argument);
      });
      return;
    }
    if (state._isConsumed) return;
    this.#busy = true;
    try {
      handle(state, argument);
    } catch (error) {
      this.#onError(error);
    }
    this.#drain();
  }

  /** Runs something that belongs to no state, now or when its turn comes. */
  run(task: () => void): void {
    this.#waiting.push(task);
    if (this.#busy) return;
    this.#busy = true;
    this.#drain();
  }

  /** Runs something now: as a part of the turn that is under way, or as a turn of its own. */
  within(task: () => void): void {
    if (this.#busy) task();
    else this.run(task);
  }

  /** True if something waits for the end of the turn that is under way. */
  get hasWaiting(): boolean {
    return this.#next < this.#waiting.length;
  }

  #drain(): void {
    while (this.#next < this.#waiting.length) {
      const task = this.#waiting[this.#next++];
      try {
        task?.();
      } catch (error) {
        this.#onError(error);
      }
    }
    if (this.#next > 0) this.#waiting = [];
    this.#next = 0;
    this.#busy = false;
  }
}
