/** What arrived of numbered messages, against what should have: 0, 1, 2, … */
export interface Arrivals {
  /** Distinct ones. */
  received: number;
  /** Numbers that were skipped. */
  lost: number;
  /** Numbers that came again, or too late. */
  repeated: number;
}

/** The oracle of one direction of one session. It knows nothing of the transport. */
export class Sequence implements Arrivals {
  received = 0;
  lost = 0;
  repeated = 0;
  #next = 0;

  take(n: number): void {
    if (n < this.#next) {
      this.repeated += 1;
      return;
    }
    this.lost += n - this.#next;
    this.#next = n + 1;
    this.received += 1;
  }
}

/** All together. */
export function sumOf(sequences: Iterable<Arrivals>): Arrivals {
  const sum: Arrivals = { received: 0, lost: 0, repeated: 0 };
  for (const { received, lost, repeated } of sequences) {
    sum.received += received;
    sum.lost += lost;
    sum.repeated += repeated;
  }
  return sum;
}
