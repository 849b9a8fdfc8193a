import type { CancelTimer, Clock } from '../clock.ts';

/** What is done once when the turn is over. */
export interface AtTurnEnd {
  onTurnOver(): void;
  /** It has to wait for more than the turn's end. Whatever it says meanwhile it is to {@link TurnEnd.remind} of. */
  onHeld(): void;
}

/** So many sessions that have something to say in one turn were told of the same event. */
const MANY = 16;

/**
 * Calls whoever asked for it when the turn is over: a microtask, so that what the promises of one turn send leaves together, and
 * nothing waits for the next turn. One for all sessions of a transport: a microtask each costs an event to 500 subscribers
 * a tenth.
 *
 * Where many have just spoken, the next many wait until what arrived meanwhile was read: other events that are there already leave
 * with theirs, in one write to each instead of one for every event. Whoever speaks meanwhile, and is not one of them, does not wait for them.
 */
export class TurnEnd {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #waiting: AtTurnEnd[] = [];
  /** Many, that have to wait. */
  #held: AtTurnEnd[] = [];
  /** Many have spoken, and what arrived meanwhile was not read yet. */
  #cancelRead: CancelTimer | undefined;
  /** When as much time has passed since as it took them. */
  #waitUntil = 0;
  #isDue = false;
  #isClosed = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Nobody is added twice before being called. */
  add(one: AtTurnEnd): void {
    this.#waiting.push(one);
    this.remind();
  }

  /** Somebody has more to say who is held: who has waited long enough by the end of this turn waits no longer. */
  remind(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(this.#turnOver);
  }

  /** The transport has closed, and with it whoever waits: nothing is asked of the loop any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRead?.();
    this.#cancelRead = undefined;
    this.#held = [];
  }

  readonly #turnOver = (): void => {
    this.#isDue = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length >= MANY) {
      if (this.#isWorthWaiting) this.#hold(waiting);
      else this.#release(waiting);
      return;
    }
    this.#call(waiting);
    if (this.#held.length > 0 && !this.#isWorthWaiting) this.#release([]);
  };

  #hold(waiting: readonly AtTurnEnd[]): void {
    for (const one of waiting) {
      one.onHeld();
      this.#held.push(one);
    }
  }

  /** For longer than others took to speak there is not as much to save, and an event of a busy process is kept. */
  get #isWorthWaiting(): boolean {
    return this.#cancelRead !== undefined && this.#clock.now() < this.#waitUntil;
  }

  readonly #read = (): void => {
    this.#cancelRead = undefined;
    if (this.#held.length > 0) this.#release([]);
  };

  /** Calls those who were held, and `more` after them. */
  #release(more: readonly AtTurnEnd[]): void {
    const held = this.#held;
    this.#held = [];
    const startedAt = this.#clock.now();
    this.#call(held);
    this.#call(more);
    if (this.#isClosed) return;
    const now = this.#clock.now();
    this.#waitUntil = now + (now - startedAt);
    this.#cancelRead ??= this.#clock.afterIo(this.#read);
  }

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
