import type { CancelTimer } from '../clock.ts';

/**
 * The timers and listeners that one state owns. Whatever a state starts in `onEnter` it adds here; leaving the state
 * ends the scope, so nothing outlives the state that started it.
 */
export class Scope {
  #cancels: CancelTimer[] = [];
  #ended = false;

  /** Takes ownership; in a scope that has ended, `cancel` is called at once. */
  add(cancel: CancelTimer): void {
    if (this.#ended) cancel();
    else this.#cancels.push(cancel);
  }

  /** Ends everything, last one first. One that throws keeps none of the others from ending; the first error is thrown on. */
  end(): void {
    this.#ended = true;
    const cancels = this.#cancels;
    this.#cancels = [];
    const errors: unknown[] = [];
    for (let i = cancels.length - 1; i >= 0; i--) {
      try {
        cancels[i]?.();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
