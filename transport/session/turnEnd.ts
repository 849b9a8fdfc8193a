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
  /** When they had spoken, and how long it took. */
  #spokeAt = 0;
  #tookMs = 0;
  #isDue = false;
  #isClosed = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** True while many wait for more than their turn's end. */
  get holdsBack(): boolean {
    return this.#held.length > 0;
  }

  /** Nobody is added twice before being called. */
  add(one: AtTurnEnd): void {
    this.#waiting.push(one);
    this.remind();
  }

  /** Somebody has something to say who was added before: who waits for too long by the end of this turn waits no longer. */
  remind(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(this.#turnOver);
  }

  /** Calls nobody who waits for more than this turn's end: the transport has closed. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRead?.();
    this.#takeHeld();
  }

  readonly #turnOver = (): void => {
    this.#isDue = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (!this.#isWorthWaiting) {
      const held = this.#takeHeld();
      this.#call(waiting);
      this.#call(held);
    } else if (waiting.length < MANY) this.#call(waiting);
    else for (const one of waiting) this.#held.push(one);
  };

  /** Longer than it takes them to speak would cost more than it saves, and keep a lone event of a busy process. */
  get #isWorthWaiting(): boolean {
    return this.#cancelRead !== undefined && this.#clock.now() - this.#spokeAt < this.#tookMs;
  }

  readonly #read = (): void => {
    this.#cancelRead = undefined;
    this.#call(this.#takeHeld());
  };

  #takeHeld(): AtTurnEnd[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  #call(waiting: readonly AtTurnEnd[]): void {
    const areMany = waiting.length >= MANY;
    const startedAt = areMany ? this.#clock.now() : 0;
    for (const one of waiting) {
      try {
        one.onTurnOver();
      } catch (error) {
        this.#onError(error);
      }
    }
    if (!areMany || this.#isClosed) return;
    this.#spokeAt = this.#clock.now();
    this.#tookMs = this.#spokeAt - startedAt;
    this.#cancelRead ??= this.#clock.afterIo(this.#read);
  }
}
