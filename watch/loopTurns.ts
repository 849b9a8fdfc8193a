import type { CancelTimer, Clock } from '../router/index.ts';

/** At most so many pieces of work in one turn of the event loop, */
const MAX_PIECES = 64;
/** and none that begins later than this after the first. */
const TURN_MS = 4;

/**
 * Work that many want done, a piece at a time: each turn of the event loop does some of it, of one client after the other,
 * and leaves the rest of the turn to everybody else.
 */
export class LoopTurns {
  readonly #clock: Clock;
  /** By client, in the order in which they have their turns. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #cancelTurn: CancelTimer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Does a piece of work when it is its client's turn; of one client in the order in which they came.
   * @param work must not throw
   * @returns what takes it back
   */
  add(client: string, work: () => void): CancelTimer {
    const piece = (): void => work(); // the same function may wait twice
    const pieces = this.#waiting.get(client);
    if (pieces === undefined) this.#waiting.set(client, new Set([piece]));
    else pieces.add(piece);
    this.#arm();
    return () => this.#remove(client, piece);
  }

  #arm(): void {
    this.#cancelTurn ??= this.#clock.afterIo(() => {
      this.#cancelTurn = undefined;
      this.#run();
    });
  }

  #run(): void {
    const startedAt = this.#clock.now();
    for (let done = 0; done < MAX_PIECES && this.#clock.now() - startedAt < TURN_MS; done++) {
      const piece = this.#next();
      if (piece === undefined) return;
      piece();
    }
    if (this.#waiting.size > 0) this.#arm();
  }

  /** Takes out the first piece of whoever is first, who is the last then. */
  #next(): (() => void) | undefined {
    for (const [client, pieces] of this.#waiting) {
      this.#waiting.delete(client);
      const [piece] = pieces;
      if (piece === undefined) continue;
      pieces.delete(piece);
      if (pieces.size > 0) this.#waiting.set(client, pieces);
      return piece;
    }
    return undefined;
  }

  #remove(client: string, piece: () => void): void {
    const pieces = this.#waiting.get(client);
    if (pieces?.delete(piece) !== true || pieces.size > 0) return;
    this.#waiting.delete(client);
    if (this.#waiting.size > 0) return;
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
  }
}

const ofClocks = new WeakMap<Clock, LoopTurns>();

/** The turns of a process: all topics that it serves share them, or each would take as much. */
export function loopTurnsOf(clock: Clock): LoopTurns {
  let turns = ofClocks.get(clock);
  if (turns === undefined) {
    turns = new LoopTurns(clock);
    ofClocks.set(clock, turns);
  }
  return turns;
}
