/** Something that begins when it is its turn. */
export class Turn {
  readonly begin: () => void;
  state: 'waiting' | 'running' | 'over' = 'waiting';
  /** Whoever waits behind this one. */
  next: Turn | undefined;

  /** @param begin throws nothing */
  constructor(begin: () => void) {
    this.begin = begin;
  }
}

/** Lets so many run at once, and the others in the order in which they came. */
export class Turns {
  readonly #limit: number;
  #running = 0;
  #first: Turn | undefined;
  #last: Turn | undefined;
  #isBeginning = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins it, now or in its turn. */
  take(turn: Turn): void {
    if (this.#last === undefined) this.#first = turn;
    else this.#last.next = turn;
    this.#last = turn;
    this.#beginNext();
  }

  /** It is over, or need not begin any more; harmless when called twice. */
  leave(turn: Turn): void {
    const wasRunning = turn.state === 'running';
    turn.state = 'over';
    if (!wasRunning) return;
    this.#running -= 1;
    this.#beginNext();
  }

  #beginNext(): void {
    // What is over as soon as it has begun comes here again: were the next begun from there, a thousand that fail at once
    // would overflow the stack.
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    while (this.#running < this.#limit && this.#first !== undefined) {
      const turn = this.#first;
      this.#first = turn.next;
      turn.next = undefined;
      if (this.#first === undefined) this.#last = undefined;
      if (turn.state !== 'waiting') continue; // it was given up
      turn.state = 'running';
      this.#running += 1;
      turn.begin();
    }
    this.#isBeginning = false;
  }
}
