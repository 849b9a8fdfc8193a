import { type CancelTimer, type Clock, type Infer, type PayloadSchema, systemClock } from '../router/index.ts';
import { Backoff } from './backoff.ts';
import { InvalidArgumentError, OtherEpochError, TransactionError, WatchClosedError } from './errors.ts';
import { createEventCheck } from './eventCheck.ts';
import { startOfRead } from './extent.ts';
import { isPosition } from './isPosition.ts';
import { Listeners } from './listeners.ts';
import type { LocalSource } from './localSource.ts';
import { MemoryTopicStore } from './memoryStore.ts';
import type { Position } from './position.ts';
import { noPosition, type ReachedOptions, ReachedWaiters } from './reached.ts';
import { checkShape } from './shape.ts';
import type { Positioned, ReadOutcome } from './source.ts';
import { type Extent, type Keep, type SettledKeep, settleKeep, type TopicStore } from './store.ts';

/** Options of {@link createTopic}. */
export interface TopicOptions<S extends PayloadSchema> {
  /** Describes an event. */
  event: S;
  /** Where the history is kept; in memory by default. */
  store?: TopicStore | undefined;
  keep?: Keep | undefined;
  /**
   * An event of about more bytes is refused when it is published, and so is one that no codec carries. Any is taken by default: a topic does not
   * know to whom it will be sent.
   */
  maxEventBytes?: number | undefined;
  clock?: Clock | undefined;
}

/**
 * An ordered history of events and those who follow it. One process publishes on a topic; it owns it.
 */
export interface Topic<E> extends LocalSource<E> {
  /** Describes an event. */
  readonly event: PayloadSchema;
  /**
   * Adds an event behind the head, and tells. Inside a transaction that is open on the store's handle it is part of that:
   * nobody hears of it before the commit, nobody at all after a rollback, and the position it gave is void then.
   * @throws {InvalidEventError | EventNotStorableError | WatchClosedError} and what the store throws; nothing is published
   */
  publish(event: E): Position;
  /** The same for several, all or none; those who listen are told once. Of none, the answer is the head. */
  publishAll(events: readonly E[]): Position;
}

/** How often a transaction that is still open is looked at. Those of a synchronous handle are over before the first time. */
const SETTLE_POLL_MS = 5;

class StoredTopic<E> implements Topic<E> {
  readonly event: PayloadSchema;
  readonly #store: TopicStore;
  readonly #keep: SettledKeep;
  readonly #clock: Clock;
  readonly #check: (event: unknown) => void;
  readonly #listeners = new Listeners();
  readonly #waiters: ReachedWaiters;
  /** As it was last seen outside of a transaction: what no rollback takes back. */
  #settled: Extent;
  /** What everybody was told last. */
  #announced: Extent;
  #isSettling = false;
  readonly #whenBusy: Backoff;
  #cancelPoll: CancelTimer | undefined;
  #isClosed = false;

  constructor(event: PayloadSchema, store: TopicStore, keep: SettledKeep, maxEventBytes: number, clock: Clock) {
    this.event = event;
    this.#store = store;
    this.#keep = keep;
    this.#clock = clock;
    this.#whenBusy = new Backoff(clock);
    this.#check = createEventCheck(event, maxEventBytes);
    this.#settled = store.extent();
    this.#announced = this.#settled;
    this.#waiters = new ReachedWaiters(clock, headOf(this.#settled));
  }

  publish(event: E): Position {
    return this.publishAll([event]);
  }

  publishAll(events: readonly E[]): Position {
    if (this.#isClosed) throw new WatchClosedError('publishing');
    for (const event of events) this.#check(event);
    if (events.length === 0) return this.head();
    const position = this.#store.append(events, this.#clock.wallNow(), this.#keep);
    try {
      this.#settle();
    } catch {
      this.#lookLater(); // It is published, and must not be published again for not having been told of.
    }
    return position;
  }

  head(): Position {
    return headOf(this.#extent());
  }

  read(after: Position | undefined, limit: number): ReadOutcome<E> {
    const settled = this.#extent();
    const start = startOfRead(settled, after, limit);
    if (typeof start !== 'number') return start;
    const available = settled.head - start;
    const events = available <= 0 ? [] : this.#store.read(start, Math.min(limit, available));
    // The cast: what this topic has published, or an earlier one over the same store. An application whose events change their
    // shape changes the store's name.
    return { kind: 'events', events: events as readonly Positioned<E>[] };
  }

  onAppend(listener: () => void): () => void {
    if (this.#isClosed) throw new WatchClosedError('listening');
    return this.#listeners.add(listener);
  }

  async reached(position: Position, options?: ReachedOptions): Promise<void> {
    if (!isPosition(position)) throw noPosition(position);
    if (!this.#isClosed) this.#settle();
    const seen = headOf(this.#settled);
    // The owner knows: no other history will follow this one.
    if (position.epoch !== seen.epoch) throw new OtherEpochError(position, seen);
    return this.#waiters.wait(position, options);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
    this.#whenBusy.cancel();
    this.#listeners.clear();
    this.#waiters.end(new WatchClosedError('reaching a position'));
  }

  #extent(): Extent {
    if (!this.#store.isUnsettled()) this.#settled = this.#store.extent();
    return this.#settled;
  }

  /** Tells what has been committed; of what has not, as soon as it is known what becomes of it. */
  #settle(): void {
    if (this.#store.isUnsettled()) this.#lookLater();
    else this.#announce();
  }

  #lookLater(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    queueMicrotask(() => this.#lookAgain());
  }

  #lookAgain(): void {
    if (this.#isClosed) return;
    try {
      if (this.#store.isUnsettled()) {
        this.#cancelPoll = this.#clock.after(SETTLE_POLL_MS, () => this.#lookAgain());
        return;
      }
      this.#trim();
      this.#announce();
      this.#whenBusy.reset();
    } catch (error) {
      // The database is busy with another process; unless the handle was closed under the topic: this is nobody's call, and
      // whoever calls next meets the error.
      if (!(error instanceof TransactionError)) return this.#whenBusy.failed(() => this.#lookAgain());
    }
    this.#isSettling = false;
    this.#cancelPoll = undefined;
  }

  /** What a transaction of the application has added, it could not drop the oldest for. */
  #trim(): void {
    try {
      this.#store.trim(this.#clock.wallNow(), this.#keep);
    } catch {
      // The database is busy with another process: there is some more history than was asked for, until the next time.
    }
  }

  #announce(): void {
    const now = this.#extent();
    const last = this.#announced;
    if (now.epoch === last.epoch && now.head === last.head) return;
    this.#announced = now;
    this.#waiters.moveTo(headOf(now));
    this.#listeners.tell();
  }
}

function headOf({ epoch, head }: Extent): Position {
  return { epoch, offset: head };
}

const STORE_METHODS = ['extent', 'append', 'trim', 'read', 'isUnsettled'];

/**
 * Opens a topic: an ordered history of events that others follow from any position it still holds.
 * @throws {InvalidArgumentError}
 */
export function createTopic<S extends PayloadSchema>(options: TopicOptions<S>): Topic<Infer<S>> {
  const { event, maxEventBytes = Number.POSITIVE_INFINITY, clock = systemClock } = options;
  if (!(maxEventBytes > 0))
    throw new InvalidArgumentError(`expected maxEventBytes of more than 0, got ${maxEventBytes}`);
  const store = options.store ?? new MemoryTopicStore({ clock });
  checkShape('store to be a TopicStore, such as a SqliteTopicStore', store, STORE_METHODS);
  return new StoredTopic<Infer<S>>(event, store, settleKeep(options.keep), maxEventBytes, clock);
}
