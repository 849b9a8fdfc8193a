import { CallError, type CancelTimer, type Clock, DEADLINE_EXCEEDED_CODE } from '../router/index.ts';
import type { Position } from '../watch/position.ts';
import { Turn, Turns } from '../watch/turns.ts';
import { CacheBusyError } from './errors.ts';

/** How many fetches there may be, and how long one may take. */
export interface FlightLimits {
  readonly maxFetches: number;
  /** Those beyond it wait their turn. */
  readonly maxConcurrentFetches: number;
  readonly fetchTimeoutMs: number;
}

/** Fetches something; to be given up when the signal aborts. */
export type Fetch<V> = (signal: AbortSignal) => V | Promise<V>;

/** One fetch under way. */
export class Flight<V> {
  readonly key: string;
  /** What it brings has heard at least this much. */
  readonly atLeast: Position | undefined;
  readonly controller = new AbortController();
  cancelTimer: CancelTimer | undefined;
  /** Undefined once it is over: a table that forgets late (a Map's) must not keep values. */
  outcome: Promise<V> | undefined;
  reject: ((error: unknown) => void) | undefined;
  turn: Turn | undefined;

  constructor(key: string, atLeast: Position | undefined) {
    this.key = key;
    this.atLeast = atLeast;
  }
}

/**
 * The fetches under way. The *current* one of a key is shared and, in the end, stored; a drop makes it one that is neither,
 * for it may bring what was there before. There is no counter of generations to keep per key: to be current is the generation.
 */
export class Flights<V> {
  readonly #limits: FlightLimits;
  readonly #clock: Clock;
  readonly #keep: (key: string, value: V) => void;
  readonly #current = new Map<string, Flight<V>>();
  readonly #all = new Set<Flight<V>>();
  readonly #turns: Turns;

  /** @param keep told what a fetch brought that nothing was dropped under, before those who wait for it */
  constructor(limits: FlightLimits, clock: Clock, keep: (key: string, value: V) => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#keep = keep;
    this.#turns = new Turns(limits.maxConcurrentFetches);
  }

  get size(): number {
    return this.#all.size;
  }

  current(key: string): Flight<V> | undefined {
    return this.#current.get(key);
  }

  /**
   * Begins a fetch, the current one of its key from now on: of two that could be stored the one that began last is.
   * @throws {CacheBusyError}
   */
  begin(key: string, atLeast: Position | undefined, fetch: Fetch<V>): Promise<V> {
    const { maxFetches, fetchTimeoutMs } = this.#limits;
    if (this.#all.size >= maxFetches) throw new CacheBusyError('fetches', maxFetches);
    const flight = new Flight<V>(key, atLeast);
    this.#current.set(key, flight);
    this.#all.add(flight);
    flight.cancelTimer = this.#clock.after(fetchTimeoutMs, () => {
      const message = `expected a value within ${fetchTimeoutMs} ms, got none`;
      this.#fail(flight, new CallError({ code: DEADLINE_EXCEEDED_CODE, message }));
    });
    const outcome = new Promise<V>((resolve, reject) => {
      flight.reject = reject;
      flight.turn = new Turn(() => void this.#run(flight, fetch, resolve));
      this.#turns.take(flight.turn);
    });
    // Everybody who waited may have gone.
    outcome.catch(() => undefined);
    if (this.#all.has(flight)) flight.outcome = outcome; // else it threw at once
    return outcome;
  }

  /** What is being fetched for a key may be old: it is neither stored nor shared with whoever comes now. */
  detach(key: string): void {
    this.#current.delete(key);
  }

  detachAll(): void {
    this.#current.clear();
  }

  /** Gives up everything. */
  end(error: Error): void {
    // Those that wait for their turn first: none of them is to begin when another one ends.
    const flights = [...this.#all];
    for (const flight of flights) if (flight.turn?.state === 'waiting') this.#fail(flight, error);
    for (const flight of flights) this.#fail(flight, error);
  }

  async #run(flight: Flight<V>, fetch: Fetch<V>, resolve: (value: V) => void): Promise<void> {
    let value: V;
    try {
      value = await fetch(flight.controller.signal);
    } catch (error) {
      this.#fail(flight, error);
      return;
    }
    if (!this.#all.has(flight)) return; // given up meanwhile
    // Before others have their turn, who might drop it.
    if (this.#current.get(flight.key) === flight) this.#keep(flight.key, value);
    this.#over(flight);
    resolve(value);
  }

  #fail(flight: Flight<V>, error: unknown): void {
    if (!this.#all.has(flight)) return;
    const { reject, controller } = flight;
    this.#over(flight);
    reject?.(error);
    controller.abort(error);
  }

  #over(flight: Flight<V>): void {
    flight.cancelTimer?.();
    this.#all.delete(flight);
    if (this.#current.get(flight.key) === flight) this.#current.delete(flight.key);
    flight.outcome = undefined;
    flight.reject = undefined;
    if (flight.turn !== undefined) this.#turns.leave(flight.turn);
    flight.turn = undefined;
  }
}
