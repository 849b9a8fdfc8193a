import { type Clock, type ErrorPayload, systemClock } from '../router/index.ts';
import { InvalidArgumentError, WatchClosedError } from './errors.ts';
import { type Beginning, type Feed, Follower, type FollowHandler } from './follower.ts';
import { hasReached } from './hasReached.ts';
import { checkKeys, MAX_KEYS } from './limits.ts';
import type { SentEvent } from './messages.ts';
import type { Position } from './position.ts';
import { attemptsOver, type DeltaMode, type NotificationMode, type WatchSource, watchFeed } from './watch.ts';
import type { Watch } from './watchCore.ts';

/** Options of {@link watchKeys}. */
export interface KeyWatcherOptions<E> {
  /** The key of an event: the same as the server's. */
  key: (event: E) => string;
  clock?: Clock | undefined;
}

/** Watches of single keys that share one subscription. */
export interface KeyWatchers<E> {
  /**
   * Watches one key; the subscription is begun anew for it, where it stood: at once, or when one that is under way has come to
   * where the history ended as it began. Several watches of a key are fine.
   * @throws {InvalidArgumentError} beyond 1 000 keys, or for one of more than 256 characters
   * @throws {WatchClosedError}
   */
  watch<V>(key: string, mode: DeltaMode<E, V>): Watch<V>;
  watch<V>(key: string, mode: NotificationMode<V>): Watch<V>;
  /** Ends the subscription and every watch. */
  dispose(): void;
}

/** A watch's share in the subscription. */
interface Member<E> {
  readonly key: string;
  readonly handler: FollowHandler<E>;
  /** The subscription is one that names its key. */
  isIn: boolean;
}

/** At most so often all of a group begin anew: each of its watches asks for that by itself. */
const RESUBSCRIBE_SPACING_MS = 10_000;

class KeyGroup<E> implements KeyWatchers<E>, FollowHandler<E> {
  readonly #key: (event: E) => string;
  readonly #clock: Clock;
  readonly #follower: Follower<E>;
  readonly #members = new Map<string, Set<Member<E>>>();
  readonly #watches = new Set<Watch<unknown>>();
  /** What the attempt that runs has asked for. */
  #askedFor: ReadonlySet<string> = new Set();
  #isFollowing = false;
  #isChanging = false;
  #isReady = false;
  /** Where the history ended when the attempt that runs was ready, until that is reached. */
  #head: Position | undefined;
  #resubscribedAt = Number.NEGATIVE_INFINITY;
  #isDisposed = false;

  constructor(source: WatchSource<E>, { key, clock = systemClock }: KeyWatcherOptions<E>) {
    this.#key = key;
    this.#clock = clock;
    const ask = () => {
      this.#askedFor = new Set(this.#members.keys());
      return { keys: [...this.#askedFor] };
    };
    this.#follower = new Follower(attemptsOver(source, key, clock), ask, undefined, clock, this);
  }

  watch<V>(key: string, mode: NotificationMode<V> | DeltaMode<E, V>): Watch<V> {
    if (this.#isDisposed) throw new WatchClosedError('watching a key');
    checkKeys([key]);
    if (!this.#members.has(key) && this.#members.size >= MAX_KEYS)
      throw new InvalidArgumentError(`expected at most ${MAX_KEYS} keys, got one more`);
    if (mode.since !== undefined)
      throw new InvalidArgumentError('expected no since, for the subscription is shared, got one');
    let forget = (): unknown => undefined;
    const feed = (handler: FollowHandler<E>): Feed => this.#feedFor(key, handler, () => forget());
    const watch = watchFeed(feed, mode, this.#clock);
    this.#watches.add(watch);
    forget = () => this.#watches.delete(watch);
    return watch;
  }

  dispose(): void {
    this.#isDisposed = true;
    for (const watch of [...this.#watches]) watch.dispose();
    this.#follower.stop();
  }

  #feedFor(key: string, handler: FollowHandler<E>, onStopped: () => unknown): Feed {
    const member: Member<E> = { key, handler, isIn: false };
    return {
      start: () => this.#add(member),
      stop: () => {
        this.#remove(member);
        onStopped();
      },
      resubscribe: () => this.#resync(member),
    };
  }

  #add(member: Member<E>): void {
    const others = this.#members.get(member.key);
    if (others === undefined) this.#members.set(member.key, new Set([member]));
    else others.add(member);
    this.#change();
  }

  #remove(member: Member<E>): void {
    const others = this.#members.get(member.key);
    if (others?.delete(member) !== true || others.size > 0) return;
    this.#members.delete(member.key);
    this.#change();
  }

  /** Keys that come and go in one turn of the loop make one new subscription. */
  #change(): void {
    if (this.#isChanging) return;
    this.#isChanging = true;
    queueMicrotask(() => {
      this.#isChanging = false;
      if (!this.#isDisposed) this.#follow();
    });
  }

  #follow(): void {
    if (this.#members.size === 0) {
      this.#follower.stop();
      this.#isReady = false;
      this.#isFollowing = false;
      return;
    }
    const isAsked = [...this.#members.keys()].every((key) => this.#askedFor.has(key));
    if (this.#isFollowing && this.#isReady && isAsked && this.#askedFor.size === this.#members.size) {
      return this.#letIn(); // another watch of a key that is asked for already
    }
    // One that is under way is not given up: keys that come and go faster than it is answered would never hear anything.
    if (this.#isFollowing && !this.#isSettled) return;
    this.#begin();
  }

  /** The attempt that runs has come to the head of its beginning: another one loses nothing. */
  get #isSettled(): boolean {
    return this.#isReady && (this.#head === undefined || hasReached(this.#follower.heard, this.#head));
  }

  /** Takes up what has changed while the attempt was under way. */
  #settle(): void {
    if (!this.#isSettled || this.#head === undefined) return;
    this.#head = undefined;
    this.#change();
  }

  #begin(): void {
    this.#isReady = false;
    this.#resubscribedAt = this.#clock.now();
    if (this.#isFollowing) return this.#follower.resubscribe();
    this.#isFollowing = true;
    this.#follower.start();
  }

  #letIn(): void {
    const { heard } = this.#follower;
    if (heard === undefined) return;
    this.#each((member) => {
      if (member.isIn) return;
      member.isIn = true;
      member.handler.onReady('first', heard, undefined);
    });
  }

  #resync(member: Member<E>): void {
    if (this.#clock.now() - this.#resubscribedAt >= RESUBSCRIBE_SPACING_MS) return this.#begin();
    const { heard } = this.#follower;
    // Somebody else has just had it begun anew.
    if (this.#isReady && member.isIn && heard !== undefined) member.handler.onReady('recovered', heard, undefined);
  }

  #each(tell: (member: Member<E>) => void): void {
    for (const members of [...this.#members.values()]) for (const member of [...members]) tell(member);
  }

  onReady(beginning: Beginning, position: Position, head: Position = position): void {
    this.#isReady = true;
    this.#head = head;
    this.#each((member) => {
      if (!this.#askedFor.has(member.key)) return; // the attempt for its key is on its way
      const isNew = !member.isIn;
      member.isIn = true;
      member.handler.onReady(isNew ? 'first' : beginning, position, undefined);
    });
    this.#settle();
  }

  onEvents(events: readonly SentEvent<E>[], through: Position): void {
    const byKey = new Map<string, SentEvent<E>[]>();
    for (const sent of events) {
      const key = this.#keyOf(sent.event);
      if (key === undefined) return this.onReset(through); // it may be anybody's
      const same = byKey.get(key);
      if (same === undefined) byKey.set(key, [sent]);
      else same.push(sent);
    }
    this.#each((member) => {
      if (member.isIn) member.handler.onEvents(byKey.get(member.key) ?? [], through);
    });
    this.#settle();
  }

  #keyOf(event: E): string | undefined {
    try {
      return this.#key(event);
    } catch {
      return undefined;
    }
  }

  onReset(position: Position): void {
    this.#each((member) => member.isIn && member.handler.onReset(position));
    // What comes of what the attempt began with is of no matter: all of them load.
    if (this.#head !== undefined) this.#head = position;
    this.#settle();
  }

  onLost(error: ErrorPayload | undefined): void {
    this.#isReady = false;
    this.#each((member) => member.isIn && member.handler.onLost(error));
  }

  onRefused(error: ErrorPayload): void {
    this.#isReady = false;
    this.#isFollowing = false;
    this.#each((member) => member.handler.onRefused(error));
  }

  onOver(error: WatchClosedError): void {
    this.#isReady = false;
    this.#isFollowing = false;
    this.#each((member) => member.handler.onOver?.(error));
  }
}

/**
 * Watches single keys of a topic over one subscription of all of them. The server is asked for permission for all keys
 * together, so one that is refused refuses the others.
 */
export function watchKeys<E>(source: WatchSource<E>, options: KeyWatcherOptions<E>): KeyWatchers<E> {
  return new KeyGroup(source, options);
}
