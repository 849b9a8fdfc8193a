import type { Clock, ErrorPayload } from '../router/index.ts';
import { NotAuthorizedError, type WatchClosedError } from '../watch/errors.ts';
import type { Beginning, FollowHandler } from '../watch/follower.ts';
import { hasReached } from '../watch/hasReached.ts';
import type { SentEvent } from '../watch/messages.ts';
import type { Mirror } from '../watch/mirror.ts';
import type { Position } from '../watch/position.ts';
import type { ReachedWaiters } from '../watch/reached.ts';
import type { Contents } from './contents.ts';
import { faultOfKey } from './limits.ts';
import type { Line } from './line.ts';
import type { CacheEvent } from './messages.ts';

/**
 * What a hop does with what it hears: drop, then relay, then tell those who wait. In this order, so that whoever hears of an
 * event from here can get nothing older from here. It is handed nothing that could send a request upstream: no event can cause
 * one, in any arrangement of hops, and a test holds its imports to that.
 */
export class Applier<V> implements FollowHandler<CacheEvent> {
  readonly #contents: Contents<V>;
  readonly #waiters: ReachedWaiters;
  readonly #line: Line;
  readonly #clock: Clock;
  readonly #onNothingFollows: () => void;
  readonly stats = { drops: 0, clears: 0 };
  #mirror: Mirror<CacheEvent> | undefined;
  /** How far the history went when the subscription began, until that is applied: what is held may be older. */
  #missing: Position | undefined;

  /** @param onNothingFollows the transport was closed, and with it the subscription, for good */
  constructor(contents: Contents<V>, waiters: ReachedWaiters, line: Line, clock: Clock, onNothingFollows: () => void) {
    this.#onNothingFollows = onNothingFollows;
    this.#contents = contents;
    this.#waiters = waiters;
    this.#line = line;
    this.#clock = clock;
  }

  /** What the hops behind this one follow; undefined where there are none. */
  get mirror(): Mirror<CacheEvent> | undefined {
    return this.#mirror;
  }

  /** From now on, passes on what is applied. */
  relayTo(mirror: Mirror<CacheEvent>): Mirror<CacheEvent> {
    this.#mirror = mirror;
    const { applied } = this.#contents;
    if (applied !== undefined) mirror.reset(applied);
    return mirror;
  }

  onReady(beginning: Beginning, position: Position, head: Position | undefined): void {
    if (beginning !== 'recovered') this.#clear(position);
    else {
      this.#contents.apply([], position);
      const passedOn = this.#mirror?.head();
      // A mirror that refused what it was given last does not stand where we go on.
      if (passedOn?.epoch !== position.epoch || passedOn.offset !== position.offset) this.#mirror?.reset(position);
      this.#waiters.moveTo(position);
    }
    this.#missing = beginning === 'recovered' ? head : undefined;
    this.#settle(position);
  }

  onEvents(events: readonly SentEvent<CacheEvent>[], through: Position): void {
    // Nobody knows what was to be dropped; and passed on, what is no event would end every subscription of the hops behind, again and again.
    if (events.some(({ event }) => faultOfKey(event?.key) !== undefined)) return this.onReset(through);
    this.stats.drops += events.length;
    this.#contents.apply(events, through);
    const { epoch } = through;
    this.#mirror?.append(
      events.map(({ offset, event }) => ({ position: { epoch, offset }, event })),
      through,
    );
    this.#waiters.moveTo(through);
    this.#settle(through);
  }

  onReset(position: Position): void {
    this.#clear(position);
    this.#missing = undefined;
    this.#settle(position);
  }

  onLost(): void {
    this.#line.moveTo('lost', this.#clock.now());
  }

  onRefused({ message }: ErrorPayload): void {
    this.#contents.forget();
    this.#line.moveTo('refused', this.#clock.now());
    this.#waiters.end(new NotAuthorizedError(message));
  }

  onOver(error: WatchClosedError): void {
    this.onLost();
    this.#waiters.end(error);
    this.#onNothingFollows();
  }

  /** It is live once what it missed while it was away is applied. */
  #settle(applied: Position): void {
    if (this.#missing !== undefined && !hasReached(applied, this.#missing)) return;
    this.#missing = undefined;
    this.#line.moveTo('live', this.#clock.now());
  }

  #clear(position: Position): void {
    this.stats.clears += 1;
    this.#contents.clear(position);
    this.#mirror?.reset(position);
    this.#waiters.moveTo(position);
  }
}
