import { showPosition, UnusableLoadError } from './errors.ts';
import type { Feed, FollowHandler } from './follower.ts';
import type { LoadContext } from './loader.ts';
import type { SentEvent } from './messages.ts';
import type { Position } from './position.ts';
import { type CoreOptions, WatchCore } from './watchCore.ts';

/** A value and how much of the history is in it. */
export interface Loaded<V> {
  readonly value: V;
  /** Everything up to here is in the value; the head at some time since the load began. */
  readonly position: Position;
}

/** Any event means: load. */
export class NotificationWatch<E, V> extends WatchCore<E, V, V> {
  #loadsFrom: Position | undefined;
  /** Something was heard since the last load began. */
  #isEventOwed = false;

  protected began(): void {
    this.#loadsFrom = this.heard;
    this.#isEventOwed = false;
  }

  protected loaded(value: V): void {
    this.isBehind = this.#isEventOwed;
    // Without an event meanwhile the load is as good as one that began now.
    this.setValue(value, this.#isEventOwed ? this.#loadsFrom : this.heard);
  }

  protected heardEvents(events: readonly SentEvent<E>[], through: Position): void {
    if (events.length > 0) {
      this.isBehind = true;
      this.#isEventOwed = true;
      this.loader.want('event');
    } else if (!this.isBehind && !this.loader.isRunning) this.movePosition(through);
  }

  protected forget(): void {
    this.#isEventOwed = true;
  }
}

/** Events are folded into the value. */
export class DeltaWatch<E, V> extends WatchCore<E, V, Loaded<V>> {
  readonly #apply: (value: V, event: E) => V;
  readonly #maxHeldEvents: number;
  /** What was heard since the load that runs has begun: behind `#heldFrom`, without a gap. */
  #held: SentEvent<E>[] = [];
  #heldFrom: Position | undefined;
  #hasOverflowed = false;
  /** The value lacks nothing of what lies before `heard`. */
  #isFoldable: boolean;

  constructor(
    feed: (handler: FollowHandler<E>) => Feed,
    load: (context: LoadContext) => Loaded<V> | Promise<Loaded<V>>,
    apply: (value: V, event: E) => V,
    options: CoreOptions & { readonly maxHeldEvents: number },
    saved: Loaded<V> | undefined,
  ) {
    super(feed, load, options, saved);
    this.#apply = apply;
    this.#maxHeldEvents = options.maxHeldEvents;
    this.#isFoldable = saved !== undefined;
  }

  protected began(): void {
    this.#held = [];
    this.#heldFrom = this.heard;
    this.#hasOverflowed = false;
  }

  protected loaded(loaded: Loaded<V>): void {
    const position = positionOf(loaded);
    const { heard } = this;
    const from = this.#heldFrom;
    if (heard === undefined || from === undefined || position.epoch !== heard.epoch)
      throw new UnusableLoadError(
        `expected a load of ${heard === undefined ? 'the epoch that is followed' : `epoch ${heard.epoch}`}, got ${showPosition(position)}`,
      );
    if (position.offset < from.offset) {
      if (this.#hasOverflowed) return this.loader.want('event');
      throw new UnusableLoadError(`expected a load from ${showPosition(from)} or later, got ${showPosition(position)}`);
    }
    const held = this.#held;
    this.#held = [];
    const value = this.#fold(loaded.value, held, position.offset);
    this.#isFoldable = true;
    this.isBehind = false;
    this.setValue(value, position.offset > heard.offset ? position : heard);
  }

  protected heardEvents(events: readonly SentEvent<E>[], through: Position): void {
    if (this.loader.isRunning) this.#hold(events, through);
    const { position } = this;
    if (!this.#isFoldable || position === undefined || through.offset <= position.offset) return;
    if (events.length === 0) return this.movePosition(through);
    try {
      // The cast: a value that can be folded is there, and V may have undefined in it.
      this.setValue(this.#fold(this.value as V, events, position.offset), through);
    } catch {
      // It may be half done: only a load can tell what the value is now.
      this.#isFoldable = false;
      this.isBehind = true;
      this.loader.want('event');
    }
  }

  protected forget(): void {
    this.#isFoldable = false;
    this.#held = [];
  }

  #hold(events: readonly SentEvent<E>[], through: Position): void {
    if (this.#held.length + events.length <= this.#maxHeldEvents) {
      for (const event of events) this.#held.push(event);
      return;
    }
    this.#held = [];
    this.#heldFrom = through;
    this.#hasOverflowed = true;
  }

  #fold(value: V, events: readonly SentEvent<E>[], after: number): V {
    let folded = value;
    for (const { offset, event } of events) if (offset > after) folded = this.#apply(folded, event);
    return folded;
  }
}

function positionOf(loaded: Loaded<unknown>): Position {
  // The cast: what a user's function returns is what it says in TypeScript only.
  const { position } = (loaded ?? {}) as { position?: { epoch?: unknown; offset?: unknown } };
  if (typeof position?.epoch !== 'string' || typeof position.offset !== 'number')
    throw new UnusableLoadError(
      `expected load to give { value, position }, got ${position === undefined ? 'no position' : 'a position that is none'}`,
    );
  return { epoch: position.epoch, offset: position.offset };
}
