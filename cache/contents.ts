import type { Clock } from '../router/index.ts';
import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import { type Fetch, type FlightLimits, Flights } from './flights.ts';
import { Held } from './held.ts';
import type { CacheStore } from './store.ts';

/** What a fetch must ask its upstream for, so that what it brings may be kept here. */
export interface Demand {
  /** Not from any cache. */
  readonly fresh: boolean;
  readonly atLeast: Position | undefined;
}

/**
 * What one hop holds: values, the fetches that will bring some, and how much of the owner's history they have heard. The
 * invariant: no value here is older than an event at or before {@link floor}. It cannot ask anybody for anything: what an
 * event does ends here.
 */
export class Contents<V> {
  readonly #held: Held<V>;
  readonly #flights: Flights<V>;
  #applied: Position | undefined;
  #floor: Position | undefined;
  /** The floor that was beyond {@link applied} when that was looked at last. */
  #doubted: Position | undefined;

  constructor(store: CacheStore<V>, limits: FlightLimits, clock: Clock) {
    this.#held = new Held(store);
    this.#flights = new Flights(limits, clock, (key, value) => {
      // Without a position nothing says what was missed; and what gives the first one makes every fetch from before foreign.
      if (this.#applied !== undefined) this.#held.set(key, value);
    });
    this.#applied = this.#held.restore();
    this.#floor = this.#applied;
  }

  /** Every event up to here was applied. */
  get applied(): Position | undefined {
    return this.#applied;
  }
  /** The furthest that was applied in this epoch: an upstream that is behind its predecessor takes us back, our values not. */
  get floor(): Position | undefined {
    return this.#floor;
  }
  get fetches(): number {
    return this.#flights.size;
  }

  /** A value for somebody who has heard of everything up to `wanted`. */
  find(key: string, wanted: Position | undefined): V | undefined {
    return this.#mayAnswer(wanted) ? this.#held.get(key) : undefined;
  }

  /** A fetch under way whose value will do for them. */
  join(key: string, wanted: Position | undefined): Promise<V> | undefined {
    const flight = this.#flights.current(key);
    if (flight === undefined) return undefined;
    return wanted === undefined || this.#mayAnswer(wanted) || hasReached(flight.atLeast, wanted)
      ? flight.outcome
      : undefined;
  }

  /**
   * Fetches, and keeps what it brings unless something was dropped meanwhile.
   * @throws {CacheBusyError}
   */
  fetch(key: string, demand: Demand, fetch: Fetch<V>): Promise<V> {
    return this.#flights.begin(key, demand.atLeast, fetch);
  }

  /** What to ask for on behalf of somebody who has heard of everything up to `wanted`. */
  demandFor(wanted: Position | undefined): Demand {
    const floor = this.#floor;
    if (wanted === undefined || hasReached(floor, wanted)) return { fresh: false, atLeast: floor };
    if (floor === undefined || hasReached(wanted, floor)) return { fresh: false, atLeast: wanted };
    // Two histories, of which nobody here knows which is the later: only the owner has heard of both.
    return { fresh: true, atLeast: wanted };
  }

  /** Drops a value without any event: harmless at any time. */
  drop(key: string): void {
    this.#flights.detach(key);
    this.#held.delete(key);
  }

  /** Applies events: drops what they name, and only then is further. */
  apply(events: readonly { readonly event: { readonly key: string } }[], through: Position): void {
    for (const { event } of events) this.drop(event.key);
    this.#moveTo(through);
  }

  /** Something was missed: drops everything, and goes on from there. */
  clear(position: Position): void {
    this.#flights.detachAll();
    this.#held.clear();
    this.#moveTo(position);
  }

  /**
   * Called now and then. An upstream that hears everything, and since the last call has not come to our floor, is not late: the owner never was
   * there, or its history was taken back. What is held is dropped, and what is asked for from now on need be no newer than the upstream.
   * @param isLive whether the upstream hears everything
   */
  doubtFloor(isLive: boolean): void {
    const { applied, floor } = this;
    const isAhead = isLive && applied !== undefined && floor !== undefined && !hasReached(applied, floor);
    const wasDoubted = isAhead && floor === this.#doubted;
    this.#doubted = isAhead ? floor : undefined;
    if (!wasDoubted) return;
    this.#floor = undefined;
    this.clear(applied);
  }

  /** Nobody will tell what to drop any more. */
  forget(): void {
    this.#flights.detachAll();
    this.#held.clear();
    this.#applied = undefined;
  }

  close(error: Error): void {
    this.#flights.end(error);
  }

  #mayAnswer(wanted: Position | undefined): boolean {
    return wanted === undefined || hasReached(this.#floor, wanted);
  }

  #moveTo(position: Position): void {
    this.#applied = position;
    if (this.#floor === undefined || !hasReached(this.#floor, position)) this.#floor = position;
    // Not where the upstream may have taken us back to: the next process is to ask for no less than this one.
    this.#held.save(this.#floor);
  }
}
