import { CallError, type CancelTimer, type Clock, type ErrorPayload, systemClock } from '../router/index.ts';
import { remoteAttempts, type TopicClient } from './attempt.ts';
import { Backlog } from './backlog.ts';
import { BEGINNING, InvalidArgumentError, NotAuthorizedError, OriginError, WatchClosedError } from './errors.ts';
import { type Beginning, Follower, type FollowHandler } from './follower.ts';
import { hasReached } from './hasReached.ts';
import type { LocalSource } from './localSource.ts';
import type { SentEvent } from './messages.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { Position } from './position.ts';
import { type ReachedOptions, ReachedWaiters } from './reached.ts';
import type { ReadOutcome } from './source.ts';
import type { Keep } from './store.ts';

/** Options of {@link mirrorTopic}. */
export interface MirrorTopicOptions {
  /**
   * Where those who will read it stopped in an earlier life, such as the positions of consumers (undefined, of one that has not begun, says nothing). The
   * mirror begins after the lowest, or with the oldest event that the topic holds, and is not ready before it has come to the highest.
   * What is beyond its head later, of the same epoch, was reached by another process, and is waited for; without `seen` it is a gap.
   */
  seen?: readonly (Position | undefined)[] | undefined;
  /** Where it begins without any: with what comes next (the default), or with the oldest event that the topic holds. */
  from?: 'head' | 'start' | undefined;
  /** How much of the topic is held here: what most readers need. What is not, comes from the topic again. */
  keep?: Keep | undefined;
  /**
   * About every so many milliseconds (a quarter more or less) it subscribes anew since its position, should the server have
   * forgotten it. 300 000 by default; `Infinity` for never.
   */
  resyncMs?: number | undefined;
  clock?: Clock | undefined;
}

/** A topic of another process, followed across sessions, under its own positions: for consumers here, or to be served on. */
export interface TopicMirror<E> extends LocalSource<E> {
  /** `lost`: the subscription ended, and is begun again. `refused`: it will not be. `closed`: by you, or with the client's transport. */
  readonly state: 'connecting' | 'live' | 'lost' | 'refused' | 'closed';
  /** Why it is lost or refused, or that its transport was closed. */
  readonly error: CallError | undefined;
  /**
   * Resolves once it has come to where its readers were, or knows that something is missing, which is a gap for them. Run
   * consumers after that: before it their positions are beyond the head.
   * Rejects with {@link ReachedTimeoutError}, {@link ReachedAbortedError}, {@link NotAuthorizedError} or {@link WatchClosedError}.
   */
  ready(options?: ReachedOptions | undefined): Promise<void>;
  /**
   * Reads from the topic what is not held here any more, or never was; consumers do where {@link read} tells a gap. What is one
   * here, too, the topic has lost. Rejects with {@link OriginError} while the topic cannot be asked, or {@link WatchClosedError}.
   */
  readFromOrigin(after: Position, limit: number): Promise<ReadOutcome<E>>;
}

const DEFAULT_RESYNC_MS = 300_000;

/** The lowest and the highest of these positions, of the epoch that most of them have. */
function rangeOf(seen: readonly (Position | undefined)[]): { lowest: Position; highest: Position } | undefined {
  const byEpoch = new Map<string, Position[]>();
  for (const position of seen) {
    if (position === undefined) continue;
    const group = byEpoch.get(position.epoch);
    if (group === undefined) byEpoch.set(position.epoch, [position]);
    else group.push(position);
  }
  const [group] = [...byEpoch.values()].sort((a, b) => b.length - a.length);
  const sorted = group?.sort((a, b) => a.offset - b.offset);
  const [lowest, highest] = [sorted?.[0], sorted?.at(-1)];
  return lowest === undefined || highest === undefined ? undefined : { lowest, highest };
}

class FollowingMirror<E> implements TopicMirror<E>, FollowHandler<E> {
  readonly #mirror: Mirror<E>;
  readonly #clock: Clock;
  readonly #resyncMs: number;
  readonly #goal: Position | undefined;
  /** Whether all of its readers' positions before it began are known, and so which of them came later: {@link #isAhead}. */
  readonly #knowsReaders: boolean;
  /** What is beyond the head and not beyond this was reached once: it got lost. */
  #reached: Position | undefined;
  readonly #keep: Keep | undefined;
  readonly #readiness: ReachedWaiters;
  #state: TopicMirror<E>['state'] = 'connecting';
  #error: CallError | undefined;
  readonly #follower: Follower<E>;
  readonly #backlog: Backlog<E>;
  /** Where the topic ended when it began: before the goal, if its history was rolled back. */
  #end: Position | undefined;
  #hasBegun = false;
  #isReady = false;
  /** What follows a gap, until it is all there: readers must not take the first of it for the head. */
  #arriving: { readonly mirror: Mirror<E>; readonly head: Position } | undefined;
  #cancelResync: CancelTimer | undefined;

  constructor(client: TopicClient<E>, { seen, from, keep, resyncMs, clock = systemClock }: MirrorTopicOptions) {
    this.#resyncMs = resyncMs ?? DEFAULT_RESYNC_MS;
    if (!(this.#resyncMs > 0)) throw new InvalidArgumentError(`expected resyncMs of more than 0, got ${resyncMs}`);
    this.#clock = clock;
    this.#keep = keep;
    this.#mirror = createMirror<E>({ keep, clock });
    this.#readiness = new ReachedWaiters(clock);
    const range = rangeOf(seen ?? []);
    this.#goal = range?.highest;
    this.#reached = this.#goal;
    this.#knowsReaders = seen !== undefined;
    // After a gap, too: what the topic holds of it still, some reader may want.
    const ask = () => (this.#hasBegun || range !== undefined || from === 'start' ? { from: 'oldest' as const } : {});
    this.#backlog = new Backlog(client, clock);
    this.#follower = new Follower(remoteAttempts(client), ask, range?.lowest, clock, this);
    this.#armResync();
    this.#follower.start();
  }

  get state(): TopicMirror<E>['state'] {
    return this.#state;
  }

  get error(): CallError | undefined {
    return this.#error;
  }

  head(): Position {
    return this.#mirror.head();
  }

  read(after: Position | undefined, limit: number): ReadOutcome<E> {
    const outcome = this.#mirror.read(after, limit);
    if (outcome.kind === 'gap' && this.#isAhead(after, outcome.head)) return { kind: 'events', events: [] };
    return outcome;
  }

  /**
   * Whether somebody has come further than this mirror: another process, whose mirror was told more of the same history. What is not
   * here yet will be.
   */
  #isAhead(after: Position | undefined, head: Position): boolean {
    if (!this.#knowsReaders || after?.epoch !== head.epoch || after.offset <= head.offset) return false;
    return this.#reached?.epoch !== head.epoch || after.offset > this.#reached.offset;
  }

  async readFromOrigin(after: Position, limit: number): Promise<ReadOutcome<E>> {
    if (this.#state === 'closed') throw new WatchClosedError('reading');
    if (this.#state !== 'live') throw new OriginError(`expected a mirror that is live, got one that is ${this.#state}`);
    if (!this.#isReady)
      throw new OriginError('expected a mirror that is ready, got one that has yet to come to its readers');
    const { epoch } = this.#mirror.head();
    const outcome = this.#isLost(after)
      ? await this.#gapFrom({ epoch, offset: 0 })
      : await this.#backlog.read(after, limit);
    if (outcome.kind === 'gap' && outcome.head.epoch !== epoch)
      throw new OriginError(`the history goes on in epoch ${outcome.head.epoch}, of which nothing has come here yet`);
    return outcome;
  }

  /** Whether it was here once, and got lost with the end of the history: by now there may be something else at its place. */
  #isLost(after: Position): boolean {
    return !hasReached(this.#mirror.head(), after) && this.#reached !== undefined && hasReached(this.#reached, after);
  }

  async #gapFrom(start: Position): Promise<ReadOutcome<E>> {
    const outcome = await this.#backlog.read(start, 1);
    return outcome.kind === 'gap' ? outcome : { kind: 'gap', oldest: start, head: this.#mirror.head() };
  }

  onAppend(listener: () => void): () => void {
    return this.#mirror.onAppend(listener);
  }

  reached(position: Position, options?: ReachedOptions): Promise<void> {
    return this.#mirror.reached(position, options);
  }

  ready(options?: ReachedOptions): Promise<void> {
    return this.#readiness.wait(this.#goal ?? BEGINNING, options);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#follower.stop();
    this.#backlog.close();
    this.#cancelResync?.();
    this.#mirror.close();
    this.#readiness.end(new WatchClosedError('getting ready'));
  }

  onReady(beginning: Beginning, position: Position, head: Position | undefined): void {
    this.#state = 'live';
    this.#error = undefined;
    const hadBegun = this.#hasBegun;
    this.#hasBegun = true;
    if (beginning === 'gap') {
      const before = this.#mirror.head();
      const isFurther = this.#reached?.epoch !== before.epoch || before.offset > this.#reached.offset;
      if (hadBegun && isFurther) this.#reached = before;
      this.#arriving = { mirror: createMirror<E>({ keep: this.#keep, clock: this.#clock }), head: head ?? position };
      this.#arriving.mirror.reset(position);
      return this.#arrive();
    }
    if (hadBegun) return; // recovered
    this.#mirror.reset(position);
    this.#end = head ?? position;
    this.#settle(beginning === 'first');
  }

  onEvents(events: readonly SentEvent<E>[], through: Position): void {
    const { epoch } = through;
    try {
      (this.#arriving?.mirror ?? this.#mirror).append(
        events.map(({ offset, event }) => ({ position: { epoch, offset }, event })),
        through,
      );
    } catch {
      // What cannot follow what was said before is missing, whatever it was.
      return this.onReset(through);
    }
    this.#arrive();
    this.#settle(false);
  }

  onReset(position: Position): void {
    this.#arriving = undefined;
    this.#mirror.reset(position);
    this.#settle(true);
  }

  onLost(error: ErrorPayload | undefined): void {
    this.#state = 'lost';
    this.#error = error === undefined ? undefined : new CallError(error);
  }

  onRefused(error: ErrorPayload): void {
    this.#state = 'refused';
    this.#error = new CallError(error);
    this.#cancelResync?.();
    this.#readiness.end(new NotAuthorizedError(error.message));
  }

  onOver({ code, message }: WatchClosedError): void {
    this.close();
    this.#error = new CallError({ code, message });
  }

  /** Hands on what follows a gap, with the gap, once it is all there. */
  #arrive(): void {
    const arrived = this.#arriving;
    if (arrived === undefined || !hasReached(arrived.mirror.head(), arrived.head)) return;
    this.#arriving = undefined;
    const head = arrived.mirror.head();
    const outcome = arrived.mirror.read(undefined, Number.MAX_SAFE_INTEGER);
    const events = outcome.kind === 'events' ? outcome.events : [];
    const oldest = events[0]?.position.offset;
    this.#mirror.reset(oldest === undefined ? head : { epoch: head.epoch, offset: oldest - 1 });
    this.#mirror.append(events, head);
    this.#settle(true);
  }

  #settle(isMissingSome: boolean): void {
    const goal = this.#goal ?? BEGINNING;
    const head = this.#mirror.head();
    const isAtEnd = this.#end !== undefined && hasReached(head, this.#end);
    if (isMissingSome || isAtEnd || hasReached(head, goal)) {
      this.#isReady = true;
      this.#readiness.moveTo(goal);
    }
  }

  #armResync(): void {
    if (this.#resyncMs === Number.POSITIVE_INFINITY) return;
    this.#cancelResync = this.#clock.after(this.#resyncMs * (0.75 + this.#clock.random() / 2), () => {
      this.#follower.resubscribe();
      this.#armResync();
    });
  }
}

/**
 * Mirrors a topic of another process.
 * @param client the subscription procedure, as `client.orders.changes`
 */
export function mirrorTopic<E>(client: TopicClient<E>, options: MirrorTopicOptions = {}): TopicMirror<E> {
  return new FollowingMirror(client, options);
}
