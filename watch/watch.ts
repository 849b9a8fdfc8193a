import { type Clock, systemClock } from '../router/index.ts';
import { localAttempts, type OpenAttempt, remoteAttempts, type TopicClient } from './attempt.ts';
import { InvalidArgumentError } from './errors.ts';
import { type Feed, Follower, type FollowHandler } from './follower.ts';
import { checkKeys } from './limits.ts';
import type { LoadContext } from './loader.ts';
import type { LocalSource } from './localSource.ts';
import type { CoreOptions, Watch } from './watchCore.ts';
import { DeltaWatch, type Loaded, NotificationWatch } from './watchModes.ts';

/** How one value is watched, whatever its events come by. */
export interface ValueOptions {
  /**
   * About every so many milliseconds (a quarter more or less) it subscribes anew and loads, whatever was heard: the bound
   * on staleness should the server have forgotten it. 300 000 by default; `Infinity` for never.
   */
  resyncMs?: number | undefined;
  /** A load that takes longer has failed; 30 000 by default. */
  loadTimeoutMs?: number | undefined;
}

/** Loads in *notification* mode: any event means that the value may be another. */
export interface NotificationMode<V> extends ValueOptions {
  /** Loads the value. Called again while it fails, with a backoff. What it gives must be no older than its call. */
  load: (context: LoadContext) => V | Promise<V>;
  /** What was known when this process was here last: if nothing was missed since, nothing is loaded. */
  since?: Loaded<V> | undefined;
}

/** Loads in *deltas* mode: events are folded into the value. */
export interface DeltaMode<E, V> extends ValueOptions {
  /** Loads the value, and says how much of the history is in it. */
  load: (context: LoadContext) => Loaded<V> | Promise<Loaded<V>>;
  /**
   * Folds an event into the value, and returns it: another one, or the same, changed. Called in order, once for each event
   * that is not in the value; if it throws, the value is loaded.
   */
  apply: (value: V, event: E) => V;
  since?: Loaded<V> | undefined;
  /** Events that are held while a load runs; one more, and another load is made. 10 000 by default. */
  maxHeldEvents?: number | undefined;
}

/** What a watch by itself is made with, besides its mode. */
export interface SourceOptions<E> {
  /** Only events with these keys; of a client's procedure at most 1 000, of at most 256 characters. */
  keys?: readonly string[] | undefined;
  /** The key of an event; needed where `keys` are asked of a source in this process. */
  key?: ((event: E) => string) | undefined;
  clock?: Clock | undefined;
}

/** What can be watched: a client's subscription procedure, as `client.docs.changes`, or a topic or mirror in this process. */
export type WatchSource<E> = TopicClient<E> | LocalSource<E>;

/** Attempts over a source of either kind. */
export function attemptsOver<E>(
  source: WatchSource<E>,
  key: ((event: E) => string) | undefined,
  clock: Clock,
): OpenAttempt<E> {
  return 'onAppend' in source ? localAttempts(source, key, clock) : remoteAttempts(source);
}

function settle(options: ValueOptions, clock: Clock): CoreOptions {
  const { resyncMs = 300_000, loadTimeoutMs = 30_000 } = options;
  if (!(resyncMs > 0)) throw new InvalidArgumentError(`expected resyncMs of more than 0, got ${resyncMs}`);
  if (!(loadTimeoutMs > 0))
    throw new InvalidArgumentError(`expected loadTimeoutMs of more than 0, got ${loadTimeoutMs}`);
  return { clock, resyncMs, loadTimeoutMs };
}

function held({ maxHeldEvents = 10_000 }: { maxHeldEvents?: number | undefined }): number {
  if (maxHeldEvents >= 0) return maxHeldEvents;
  throw new InvalidArgumentError(`expected maxHeldEvents of 0 or more, got ${maxHeldEvents}`);
}

/** A watch over a feed, begun. */
export function watchFeed<E, V>(
  feed: (handler: FollowHandler<E>) => Feed,
  mode: NotificationMode<V> | DeltaMode<E, V>,
  clock: Clock,
): Watch<V> {
  const options = settle(mode, clock);
  const watch =
    'apply' in mode && mode.apply !== undefined
      ? new DeltaWatch(feed, mode.load, mode.apply, { ...options, maxHeldEvents: held(mode) }, mode.since)
      : // The cast: a mode without apply is the other one.
        new NotificationWatch(feed, (mode as NotificationMode<V>).load, options, mode.since);
  watch.start();
  return watch;
}

/**
 * Follows a topic across sessions, and keeps a value up to date by it. It subscribes, then loads, then applies what it
 * hears; after the session died it subscribes since the last position, and loads only if something was missed.
 * @throws {InvalidArgumentError}
 */
export function watch<E, V>(source: WatchSource<E>, options: DeltaMode<E, V> & SourceOptions<E>): Watch<V>;
export function watch<E, V>(source: WatchSource<E>, options: NotificationMode<V> & SourceOptions<E>): Watch<V>;
export function watch<E, V>(
  source: WatchSource<E>,
  options: (NotificationMode<V> | DeltaMode<E, V>) & SourceOptions<E>,
): Watch<V> {
  const { keys, key, clock = systemClock, since } = options;
  if (keys !== undefined && key === undefined && 'onAppend' in source)
    throw new InvalidArgumentError('expected key beside keys, for a source in this process cannot know them, got none');
  if (keys !== undefined && !('onAppend' in source)) checkKeys(keys);
  const open = attemptsOver(source, key, clock);
  return watchFeed((handler) => new Follower(open, () => ({ keys }), since?.position, clock, handler), options, clock);
}
