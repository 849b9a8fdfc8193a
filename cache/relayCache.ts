import { CallError, type CallOptions, type CancelTimer, type ErrorPayload, type Result } from '../router/index.ts';
import { remoteAttempts, type TopicClient } from '../watch/attempt.ts';
import { InvalidArgumentError } from '../watch/errors.ts';
import { Follower } from '../watch/follower.ts';
import type { Mirror } from '../watch/mirror.ts';
import type { Position } from '../watch/position.ts';
import { ReachedWaiters } from '../watch/reached.ts';
import { checkShape } from '../watch/shape.ts';
import type { Keep } from '../watch/store.ts';
import { Turn, Turns } from '../watch/turns.ts';
import { Applier } from './applier.ts';
import type { Cache, MirrorMaker } from './cache.ts';
import { CacheNode, type RequestOptions, unconfirmed } from './cacheNode.ts';
import type { Demand } from './contents.ts';
import { type CacheClosedError, CacheLostError } from './errors.ts';
import { Line } from './line.ts';
import type { CacheEvent, GetRequest, Invalidated, InvalidateRequest } from './messages.ts';
import { type CacheOptions, positive, settleOptions } from './options.ts';
import { type WaitOptions, waitFor } from './waitFor.ts';

/** The client's service that a hop is over, as `client.docs`: its procedures come from {@link cacheProcedures}. */
export interface CacheUpstream<V> {
  readonly get: {
    rpc(init: GetRequest, options?: CallOptions | undefined): Promise<Result<{ value: V }, ErrorPayload>>;
  };
  readonly invalidate: {
    rpc(init: InvalidateRequest, options?: CallOptions | undefined): Promise<Result<Invalidated, ErrorPayload>>;
  };
  readonly changes: TopicClient<CacheEvent>;
}

/** Options of {@link relayCache}. */
export interface RelayOptions<V> extends CacheOptions<V> {
  /**
   * What `get` does while the subscription is lost, here or further up, when nobody would tell that a value is old: `'fetch'`
   * (the default) asks the upstream, `'reject'` does not answer but for `fresh`, and with `maxStaleMs` what is held is served
   * for so long after the loss, then it is as with `'fetch'`. Whichever: nothing is served that was dropped.
   */
  whenLost?: 'fetch' | 'reject' | { readonly maxStaleMs: number } | undefined;
  /**
   * About every so many milliseconds (a quarter more or less) it subscribes anew since its position: the bound on staleness
   * should the upstream have forgotten it. An upstream that stays behind what this hop has heard before is believed after two
   * of them. 300 000 by default; `Infinity` for never.
   */
  resyncMs?: number | undefined;
  /** How much of the owner's history is kept for the next hops. */
  keep?: Keep | undefined;
}

const PROCEDURES = ['get.rpc', 'invalidate.rpc', 'changes.subscribe'];

class RelayCache<V> extends CacheNode<V> {
  readonly #upstream: CacheUpstream<V>;
  readonly #whenLost: NonNullable<RelayOptions<V>['whenLost']>;
  readonly #resyncMs: number;
  readonly #keep: Keep | undefined;
  readonly #waiters: ReachedWaiters;
  /** Of the requests for an invalidation. */
  readonly #turns: Turns;
  readonly #applier: Applier<V>;
  readonly #follower: Follower<CacheEvent>;
  #cancelResync: CancelTimer | undefined;

  constructor(upstream: CacheUpstream<V>, options: RelayOptions<V>) {
    const settled = settleOptions(options);
    const { whenLost = 'fetch', resyncMs = 300_000, keep } = options;
    checkShape('the service of a client that cacheProcedures serves, as client.docs', upstream, PROCEDURES);
    if (typeof whenLost === 'object') positive('whenLost.maxStaleMs', whenLost.maxStaleMs);
    else if (whenLost !== 'fetch' && whenLost !== 'reject')
      throw new InvalidArgumentError(
        `expected whenLost to be 'fetch', 'reject' or { maxStaleMs }, got '${String(whenLost)}'`,
      );
    super(settled, new Line('connecting'));
    const { clock, maxConcurrentFetches } = settled;
    this.#upstream = upstream;
    this.#whenLost = whenLost;
    this.#resyncMs = positive('resyncMs', resyncMs);
    this.#keep = keep;
    this.#waiters = new ReachedWaiters(clock);
    this.#turns = new Turns(maxConcurrentFetches);
    this.#applier = new Applier(this.contents, this.#waiters, this.line, clock, () => this.#cancelResync?.());
    const attempts = remoteAttempts(upstream.changes);
    this.#follower = new Follower(attempts, () => ({}), this.contents.applied, clock, this.#applier);
  }

  /** Apart from the constructor: an answer may come at once. */
  start(): void {
    this.#armResync();
    this.#follower.start();
  }

  changes(make: MirrorMaker): Mirror<CacheEvent> {
    return this.#applier.mirror ?? this.#applier.relayTo(make({ keep: this.#keep, clock: this.clock }));
  }

  protected get applied(): { drops: number; clears: number } {
    return this.#applier.stats;
  }

  protected mayServe(): boolean {
    const { state, lostAt } = this.line;
    if (state === 'live') return true;
    if (this.#whenLost === 'fetch' || lostAt === undefined) return false;
    if (this.#whenLost === 'reject') throw new CacheLostError();
    return this.clock.now() - lostAt < this.#whenLost.maxStaleMs;
  }

  protected async fetch(key: string, { fresh, atLeast }: Demand, hops: number, signal: AbortSignal): Promise<V> {
    const request = {
      key,
      hops: hops + 1,
      ...(fresh && { fresh }),
      ...(atLeast !== undefined && { atLeast }),
    };
    return unwrap(await this.#upstream.get.rpc(request, { signal })).value;
  }

  protected async requestPosition(key: string, hops: number, options: RequestOptions): Promise<Position> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    const endsAt = this.clock.now() + timeoutMs;
    let onTurn = (): void => undefined;
    const turn = new Turn(() => onTurn());
    try {
      this.#turns.take(turn);
      if (turn.state === 'waiting') {
        const begun = new Promise<void>((resolve) => {
          onTurn = resolve;
        });
        await waitFor(begun, this.clock, options);
      }
      // A call may wait for ever, which it says by saying nothing.
      const left = endsAt === Number.POSITIVE_INFINITY ? {} : { timeoutMs: Math.max(0, endsAt - this.clock.now()) };
      return unwrap(await this.#upstream.invalidate.rpc({ key, hops: hops + 1 }, { signal, ...left })).position;
    } catch (error) {
      throw unconfirmed(key, error, signal);
    } finally {
      this.#turns.leave(turn);
    }
  }

  protected confirmed(position: Position, options: WaitOptions): Promise<void> {
    return this.#waiters.wait(position, options);
  }

  protected end(error: CacheClosedError): void {
    this.#cancelResync?.();
    this.#follower.stop();
    this.#waiters.end(error);
    this.#applier.mirror?.close();
  }

  #armResync(): void {
    if (this.#resyncMs === Number.POSITIVE_INFINITY) return;
    // Spread, so that a thousand caches that began together do not ask together for ever.
    this.#cancelResync = this.clock.after(this.#resyncMs * (0.75 + this.clock.random() / 2), () => {
      this.#armResync();
      this.contents.doubtFloor(this.line.state === 'live');
      if (this.line.state !== 'refused') this.#follower.resubscribe();
    });
  }
}

function unwrap<T>(result: Result<T, ErrorPayload>): T {
  if (result.ok) return result.payload;
  throw new CallError(result.payload);
}

/**
 * Makes a hop: a cache in front of another one, which it reaches by a client. It follows at once, and across sessions.
 * @throws {InvalidArgumentError}
 */
export function relayCache<V>(upstream: CacheUpstream<V>, options: RelayOptions<V> = {}): Cache<V> {
  const cache = new RelayCache(upstream, options);
  cache.start();
  return cache;
}
