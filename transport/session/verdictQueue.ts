import type { CancelTimer, Clock } from '../clock.ts';

/** Once verdicts have kept the loop for so long, further ones wait for another turn. */
const TURN_MS = 0.2;
/** But a turn sees off one in so many at least, however long that takes: whoever fell silent is not kept by a busy loop. */
const SHARES = 16;

interface Waiting {
  /** Undefined: called, or cancelled. */
  onVerdict: (() => void) | undefined;
}

/**
 * Verdicts on peers that were not heard. Each is called once what had arrived before was read, and few in one turn of the loop:
 * many peers fall silent at once, and whoever is left need not wait until all of those were seen off.
 */
export class VerdictQueue {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #waiting: Waiting[] = [];
  #live = 0;
  /**
   * So many came before the turn was asked for, and have their turn in it. The others, of which those that came with the first are some,
   * wait for the one after it: only then has everything been read that had arrived for them.
   */
  #due = 0;
  #cancelTurn: CancelTimer | undefined;
  #isInTurn = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  add(onVerdict: () => void): CancelTimer {
    const one: Waiting = { onVerdict };
    this.#waiting.push(one);
    this.#live += 1;
    this.#askForTurn();
    return () => {
      if (one.onVerdict === undefined) return;
      one.onVerdict = undefined;
      this.#live -= 1;
      if (!this.#isInTurn) this.#rest();
    };
  }

  #askForTurn(): void {
    if (this.#isInTurn || this.#cancelTurn !== undefined) return;
    this.#due = this.#waiting.length;
    this.#cancelTurn = this.#clock.afterIo(this.#turn);
  }

  /** Where nobody waits, nothing is asked for. */
  #rest(): void {
    if (this.#live > 0) return;
    this.#waiting.length = 0;
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
  }

  readonly #turn = (): void => {
    this.#cancelTurn = undefined;
    this.#isInTurn = true;
    const until = this.#clock.now() + TURN_MS;
    const least = this.#due / SHARES;
    let seen = 0;
    while (seen < this.#due && (seen < least || this.#clock.now() <= until)) this.#call(this.#waiting[seen++]);
    this.#waiting.splice(0, seen);
    this.#isInTurn = false;
    if (this.#live > 0) this.#askForTurn();
    else this.#rest();
  };

  #call(one: Waiting | undefined): void {
    const onVerdict = one?.onVerdict;
    if (one === undefined || onVerdict === undefined) return;
    one.onVerdict = undefined;
    this.#live -= 1;
    try {
      onVerdict();
    } catch (error) {
      this.#onError(error);
    }
  }
}
