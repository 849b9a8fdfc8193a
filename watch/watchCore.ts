import { CallError, type CancelTimer, type Clock, type ErrorPayload, type HoldfastError } from '../router/index.ts';
import { ValueIterators } from './changes.ts';
import { NotAuthorizedError, WatchClosedError } from './errors.ts';
import type { Beginning, Feed, FollowHandler } from './follower.ts';
import { Listeners } from './listeners.ts';
import { type LoadContext, Loader, type LoaderHandler } from './loader.ts';
import type { SentEvent } from './messages.ts';
import type { Position } from './position.ts';
import { type ReachedOptions, ReachedWaiters } from './reached.ts';

/**
 * Where a watch is. `connecting`: no subscription yet, and no value. `loading`: subscribed; the value is missing, or older
 * than what was heard. `live`: the value holds everything that was heard. `stale`: there is a value, but the subscription
 * is lost, or loading fails. `refused`: the server does not permit it, for good. `closed`: disposed of, or the client's
 * transport was closed.
 */
export type WatchState = 'connecting' | 'loading' | 'live' | 'stale' | 'refused' | 'closed';

/** What a watch has been through. */
export interface WatchStats {
  /** Loads that were begun. */
  readonly loads: number;
  readonly failedLoads: number;
  /** Events that were heard. */
  readonly events: number;
  /** How often something was missed that could not be had. */
  readonly resets: number;
  readonly resyncs: number;
  /** Subscriptions after the first, those of resyncs included. */
  readonly resubscribes: number;
  /** Those of them that could not go on where the last one was. */
  readonly unrecoveredResubscribes: number;
}

/** A value that follows its source. */
export interface Watch<V> extends AsyncIterable<V> {
  /** The newest there is; undefined before the first load. */
  readonly value: V | undefined;
  readonly state: WatchState;
  /** Everything up to here is in the value. */
  readonly position: Position | undefined;
  /**
   * Why it is not live: what a load threw last, or a {@link CallError} or {@link NotAuthorizedError} of the subscription; a
   * {@link WatchClosedError} if the transport was closed.
   */
  readonly error: unknown;
  readonly stats: WatchStats;
  /**
   * Resolves once the value holds everything up to a position. Rejects with {@link ReachedTimeoutError} after 30 s or
   * `timeoutMs`, {@link OtherEpochError}, {@link ReachedAbortedError}, {@link NotAuthorizedError} or {@link WatchClosedError}.
   * A position of an epoch that was not seen yet is waited for.
   */
  reached(position: Position, options?: ReachedOptions | undefined): Promise<void>;
  /**
   * Calls `listener` after value or state changed.
   * @returns what ends it
   */
  onChange(listener: () => void): () => void;
  /** Ends it, and everything that waits on it. The value stays readable. */
  dispose(): void;
}

/** What every watch is made with. */
export interface CoreOptions {
  readonly clock: Clock;
  /** Infinity for never. */
  readonly resyncMs: number;
  readonly loadTimeoutMs: number;
}

/** What both modes of a watch share: the state, who waits for it, and when to load. */
export abstract class WatchCore<E, V, L> implements Watch<V>, FollowHandler<E>, LoaderHandler<L> {
  readonly stats = {
    loads: 0,
    failedLoads: 0,
    events: 0,
    resets: 0,
    resyncs: 0,
    resubscribes: 0,
    unrecoveredResubscribes: 0,
  };
  protected readonly loader: Loader<L>;
  /** Everything up to here was heard. */
  protected heard: Position | undefined;
  /** Something was heard that the value does not hold. */
  protected isBehind = false;
  readonly #feed: Feed;
  readonly #clock: Clock;
  readonly #resyncMs: number;
  readonly #waiters: ReachedWaiters;
  readonly #iterators = new ValueIterators<V>();
  readonly #listeners = new Listeners();
  #current: { readonly value: V; readonly position: Position | undefined } | undefined;
  #subscription: 'none' | 'ready' | 'lost' = 'none';
  #hasSubscribed = false;
  /** The load that was made last failed. */
  #failure: { readonly error: unknown } | undefined;
  #end: 'refused' | 'closed' | undefined;
  /** What the subscription ended with. */
  #error: unknown;
  #told: WatchState = 'connecting';
  #cancelResync: CancelTimer | undefined;

  constructor(
    feed: (handler: FollowHandler<E>) => Feed,
    load: (context: LoadContext) => L | Promise<L>,
    { clock, resyncMs, loadTimeoutMs }: CoreOptions,
    saved: { readonly value: V; readonly position: Position } | undefined,
  ) {
    this.#clock = clock;
    this.#resyncMs = resyncMs;
    this.#waiters = new ReachedWaiters(clock, saved?.position);
    this.loader = new Loader(load, loadTimeoutMs, clock, this);
    this.#feed = feed(this);
    if (saved !== undefined) {
      this.heard = saved.position;
      this.#current = saved;
      this.#iterators.next(saved.value);
    }
  }

  /** Apart from the constructor: a feed may answer at once. */
  start(): void {
    this.#told = this.state;
    this.#armResync(); // first, for a feed that is over ends it
    this.#feed.start();
  }

  get value(): V | undefined {
    return this.#current?.value;
  }
  get position(): Position | undefined {
    return this.#current?.position;
  }
  get error(): unknown {
    return this.#error ?? this.#failure?.error;
  }
  protected get hasValue(): boolean {
    return this.#current !== undefined;
  }

  get state(): WatchState {
    if (this.#end !== undefined) return this.#end;
    const isReady = this.#subscription === 'ready';
    if (this.#current === undefined) return isReady ? 'loading' : 'connecting';
    if (!isReady || this.#failure !== undefined) return 'stale';
    return this.isBehind ? 'loading' : 'live';
  }

  reached(position: Position, options?: ReachedOptions): Promise<void> {
    return this.#waiters.wait(position, options);
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<V, undefined> {
    return this.#iterators.iterate();
  }

  dispose(): void {
    this.#finish('closed', undefined, new WatchClosedError('reaching a position'));
  }

  onReady(beginning: Beginning, position: Position): void {
    if (this.#end !== undefined) return;
    this.#subscription = 'ready';
    this.#error = undefined;
    this.heard = position;
    if (this.#hasSubscribed) this.stats.resubscribes += 1;
    if (beginning === 'gap') {
      if (this.#hasSubscribed) this.stats.unrecoveredResubscribes += 1;
      this.#missed();
    } else if (this.#current === undefined && !this.loader.isRunning) this.loader.want('first');
    this.#hasSubscribed = true;
    this.loader.release();
    this.changed();
  }

  onEvents(events: readonly SentEvent<E>[], through: Position): void {
    if (this.#end !== undefined) return;
    this.heard = through;
    this.stats.events += events.length;
    this.heardEvents(events, through);
    this.changed();
  }

  onReset(position: Position): void {
    if (this.#end !== undefined) return;
    this.heard = position;
    this.#missed();
    this.changed();
  }

  onLost(error: ErrorPayload | undefined): void {
    if (this.#end !== undefined) return;
    this.#subscription = 'lost';
    this.#error = error === undefined ? undefined : new CallError(error);
    this.loader.hold();
    this.changed();
  }

  onRefused({ message }: ErrorPayload): void {
    if (this.#end !== undefined) return;
    const error = new NotAuthorizedError(message);
    this.#error = error;
    this.#finish('refused', error, error);
  }

  onOver(error: WatchClosedError): void {
    if (this.#end !== undefined) return;
    this.#error = error;
    // Iterations are done: it is the application that has closed the transport.
    this.#finish('closed', undefined, error);
  }

  onLoading(): void {
    this.stats.loads += 1;
    this.began();
  }

  onLoaded(result: L): void {
    this.loaded(result);
    this.#failure = undefined;
    this.changed();
  }

  onLoadFailed(error: unknown): void {
    this.stats.failedLoads += 1;
    this.#failure = { error };
    this.changed();
  }

  /** A load begins: what is heard from now on may not be in it. */
  protected abstract began(): void;
  /** @throws what makes the result unusable */
  protected abstract loaded(result: L): void;
  protected abstract heardEvents(events: readonly SentEvent<E>[], through: Position): void;
  /** The value cannot be brought to the present by events. */
  protected abstract forget(): void;

  protected setValue(value: V, position: Position | undefined): void {
    this.#current = { value, position };
    this.#iterators.next(value);
    if (position !== undefined) this.#waiters.moveTo(position);
    this.#told = this.state;
    this.#listeners.tell();
  }

  /** The value holds everything up to there, and is the same. */
  protected movePosition(position: Position): void {
    if (this.#current === undefined) return;
    this.#current = { value: this.#current.value, position };
    this.#waiters.moveTo(position);
  }

  /** Tells those who listen if the state is another one than they know. */
  protected changed(): void {
    const { state } = this;
    if (state === this.#told) return;
    this.#told = state;
    this.#listeners.tell();
  }

  #missed(): void {
    this.stats.resets += 1;
    this.isBehind = true;
    this.forget();
    this.loader.restart('reset');
  }

  #armResync(): void {
    if (this.#resyncMs === Number.POSITIVE_INFINITY) return;
    // Spread, so that a thousand watches that began together do not ask together for ever.
    this.#cancelResync = this.#clock.after(this.#resyncMs * (0.75 + this.#clock.random() / 2), () => {
      this.#armResync();
      this.stats.resyncs += 1;
      // Held until the new subscription is ready: a load from before it could miss what is published in between.
      this.loader.hold();
      this.loader.want('resync');
      this.#feed.resubscribe();
    });
  }

  #finish(end: 'refused' | 'closed', iterators: HoldfastError | undefined, waiters: HoldfastError): void {
    if (this.#end === 'closed') return;
    this.#end = end;
    this.#cancelResync?.();
    this.#feed.stop();
    this.loader.stop();
    this.#waiters.end(waiters);
    this.#iterators.end(iterators);
    this.changed();
    if (end === 'closed') this.#listeners.clear();
  }
}
