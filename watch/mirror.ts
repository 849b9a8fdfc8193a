import { type Clock, type Infer, type PayloadSchema, systemClock } from '../router/index.ts';
import { InvalidArgumentError, showPosition, WatchClosedError } from './errors.ts';
import { createEventCheck } from './eventCheck.ts';
import { startOfRead } from './extent.ts';
import { History } from './history.ts';
import { keptWeight } from './keptWeight.ts';
import { Listeners } from './listeners.ts';
import type { LocalSource } from './localSource.ts';
import type { Position } from './position.ts';
import { type ReachedOptions, ReachedWaiters } from './reached.ts';
import type { Positioned, ReadOutcome } from './source.ts';
import { type Keep, type SettledKeep, settleKeep } from './store.ts';

/** Options of {@link createMirror}. With `event`, the schema of an event, what is appended is checked. */
export interface MirrorOptions {
  keep?: Keep | undefined;
  clock?: Clock | undefined;
}

/**
 * A topic under somebody else's positions: what a relay offers downstream. Until the first {@link reset} it has a made-up
 * epoch at offset 0, whose events nobody will ever see.
 */
export interface Mirror<E> extends LocalSource<E> {
  /**
   * Adds what the origin has published.
   * @param events in order, behind the head; offsets may be missing, where somebody filtered them
   * @param through how far the origin's history was looked at; at or behind the last event
   * @throws {InvalidArgumentError | InvalidEventError | WatchClosedError} nothing is added
   */
  append(events: readonly Positioned<E>[], through: Position): void;
  /** What lies before `head` is not known, maybe of another epoch: everybody who follows gets a gap, and reads on from there. */
  reset(head: Position): void;
}

class HistoryMirror<E> implements Mirror<E> {
  readonly #keep: SettledKeep;
  readonly #clock: Clock;
  readonly #check: ((event: unknown) => void) | undefined;
  readonly #history = new History<E>();
  readonly #listeners = new Listeners();
  readonly #waiters: ReachedWaiters;
  #head: Position;
  #floor = 0;
  #isClosed = false;

  constructor(event: PayloadSchema | undefined, keep: SettledKeep, clock: Clock) {
    this.#check = event === undefined ? undefined : createEventCheck(event);
    this.#keep = keep;
    this.#clock = clock;
    this.#head = { epoch: clock.id(), offset: 0 };
    this.#waiters = new ReachedWaiters(clock);
  }

  append(events: readonly Positioned<E>[], through: Position): void {
    if (this.#isClosed) throw new WatchClosedError('appending');
    this.#checkOrder(events, through);
    if (this.#check !== undefined) for (const { event } of events) this.#check(event);
    const at = this.#clock.wallNow();
    const keep = this.#keep;
    for (const { position, event } of events) this.#history.push({ position, event }, at, keptWeight(event, keep));
    const dropped = this.#history.trim(keep.events, at - keep.ageMs, keep.bytes);
    if (dropped !== undefined) this.#floor = dropped.position.offset;
    this.#moveTo(through);
  }

  reset(head: Position): void {
    if (this.#isClosed) throw new WatchClosedError('resetting');
    this.#history.clear();
    this.#floor = head.offset;
    this.#moveTo(head);
  }

  head(): Position {
    return this.#head;
  }

  read(after: Position | undefined, limit: number): ReadOutcome<E> {
    const extent = { epoch: this.#head.epoch, floor: this.#floor, head: this.#head.offset };
    const start = startOfRead(extent, after, limit);
    if (typeof start !== 'number') return start;
    const first = this.#firstAfter(start);
    const events = this.#history.slice(first, limit);
    const isAll = first + events.length === this.#history.size;
    return { kind: 'events', events, ...(isAll && { through: this.#head }) };
  }

  onAppend(listener: () => void): () => void {
    if (this.#isClosed) throw new WatchClosedError('listening');
    return this.#listeners.add(listener);
  }

  reached(position: Position, options?: ReachedOptions): Promise<void> {
    return this.#waiters.wait(position, options);
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#waiters.end(new WatchClosedError('reaching a position'));
  }

  #moveTo(head: Position): void {
    this.#head = head;
    this.#waiters.moveTo(head);
    this.#listeners.tell();
  }

  #checkOrder(events: readonly Positioned<E>[], through: Position): void {
    const { epoch } = this.#head;
    if (through.epoch !== epoch)
      throw new InvalidArgumentError(`expected epoch ${epoch}, got ${showPosition(through)}: reset first`);
    let last = this.#head.offset;
    for (const { position } of events) {
      if (position.epoch !== epoch || position.offset <= last)
        throw new InvalidArgumentError(
          `expected a position after ${last} of epoch ${epoch}, got ${showPosition(position)}`,
        );
      last = position.offset;
    }
    if (through.offset < last)
      throw new InvalidArgumentError(`expected through at or behind ${last}, got ${showPosition(through)}`);
  }

  /** Offsets may be missing, so an event's place is searched. */
  #firstAfter(offset: number): number {
    let low = 0;
    let high = this.#history.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history.at(middle)?.position.offset ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Makes a mirror: a source that a relay fills with what another topic has published, under that topic's positions. */
export function createMirror<S extends PayloadSchema>(options: MirrorOptions & { event: S }): Mirror<Infer<S>>;
export function createMirror<E>(options?: MirrorOptions): Mirror<E>;
export function createMirror(options: MirrorOptions & { event?: PayloadSchema } = {}): Mirror<unknown> {
  return new HistoryMirror(options.event, settleKeep(options.keep), options.clock ?? systemClock);
}
