/**
 * The oracle of one direction of one session: what is received must be 0, 1, 2, … It knows nothing of the transport.
 */
export class Numbers {
  received = 0;
  readonly #name: string;
  readonly #faults: string[];

  /** @param faults where to put what is wrong, at once: who is killed says nothing afterwards */
  constructor(name: string, faults: string[]) {
    this.#name = name;
    this.#faults = faults;
  }

  take(n: number): void {
    if (n === this.received) this.received += 1;
    else if (n < this.received) this.#faults.push(`${this.#name}: got ${n} again, expected ${this.received}`);
    else {
      this.#faults.push(`${this.#name}: got ${n}, expected ${this.received}: something is lost`);
      this.received = n + 1;
    }
  }
}

/** What the processes of a chaos run tell the one that makes the chaos. */
export type ChaosReport =
  | { type: 'listening'; port: number }
  /** Totals since the process began. */
  | { type: 'progress'; sent: number; received: number; sessions: number; faults: string[] };

/** Tells it. */
export function report(message: ChaosReport): void {
  process.send?.(message);
}
