import { TransactionError } from '../watch/errors.ts';
import { hasReached } from '../watch/hasReached.ts';
import type { Position } from '../watch/position.ts';
import { checkFunction } from '../watch/shape.ts';
import { createTopic, type Topic } from '../watch/topic.ts';
import type { Cache } from './cache.ts';
import { CacheNode, type RequestOptions, unconfirmed } from './cacheNode.ts';
import type { Demand } from './contents.ts';
import { Line } from './line.ts';
import { type CacheEvent, CacheEventSchema } from './messages.ts';
import { type CacheOptions, settleOptions } from './options.ts';

/** What a load is told. */
export interface LoadOptions {
  /** Aborts when nobody will take what it brings. */
  readonly signal: AbortSignal;
}

/** Options of {@link createCache}. */
export interface OwnerOptions<V> extends CacheOptions<V> {
  /**
   * Reads a value where it lives, as it is when it is called; of a database, what is committed. What it throws is not cached, and reaches every caller at every
   * hop if it is a `CallError`; of any other error the code LOAD_FAILED.
   */
  load: (key: string, options: LoadOptions) => V | Promise<V>;
  /**
   * What invalidations are published on; in memory by default. One in a durable store lets the hops keep what they hold when
   * this process restarts. Nobody else publishes on it; it is not closed with the cache.
   */
  topic?: Topic<CacheEvent> | undefined;
}

const READ_BATCH = 1_000;

class OwnerCache<V> extends CacheNode<V> {
  readonly #topic: Topic<CacheEvent>;
  readonly #load: OwnerOptions<V>['load'];
  readonly #isTopicOurs: boolean;
  readonly #stopListening: () => void;
  #drops = 0;
  #clears = 0;

  constructor(options: OwnerOptions<V>) {
    const settled = settleOptions(options);
    checkFunction('load', options.load);
    super(settled, new Line('live'));
    this.#load = options.load;
    this.#topic = options.topic ?? createTopic({ event: CacheEventSchema, clock: settled.clock });
    this.#isTopicOurs = options.topic === undefined;
    // What a transaction has published is heard of at its commit, which is not when it was published.
    this.#stopListening = this.#topic.onAppend(() => this.#catchUp());
    this.#catchUp();
  }

  changes(): Topic<CacheEvent> {
    return this.#topic;
  }

  protected get applied(): { drops: number; clears: number } {
    return { drops: this.#drops, clears: this.#clears };
  }

  protected mayServe(): boolean {
    // Somebody may have heard of an event already that this process has yet to be told of.
    this.#catchUp();
    return true;
  }

  protected fetch(key: string, _demand: Demand, _hops: number, signal: AbortSignal): V | Promise<V> {
    return this.#load(key, { signal });
  }

  protected async requestPosition(key: string, _hops: number, options: RequestOptions): Promise<Position> {
    // Also if publishing fails, or takes a while: what was written can be read.
    this.contents.drop(key);
    let position: Position | undefined;
    try {
      position = this.#topic.publish({ key });
      const isCommitted = hasReached(this.contents.applied, position); // outside of a transaction it was heard of at once
      await this.#topic.reached(position, options);
      if (!isCommitted) this.#checkPublished(key, position);
      return position;
    } catch (error) {
      this.contents.drop(key); // what was loaded inside a transaction, its rollback took back
      throw unconfirmed(key, error, options.signal, position);
    }
  }

  /** After a rollback the next event gets the position that was given for this one: being there proves nothing. */
  #checkPublished(key: string, { epoch, offset }: Position): void {
    const outcome = this.#topic.read({ epoch, offset: offset - 1 }, 1);
    if (outcome.kind === 'events' && outcome.events[0]?.event.key === key) return;
    throw new TransactionError(
      'expected the event at its position, which a rollback or a short history has given away',
    );
  }

  protected async confirmed(): Promise<void> {
    this.#catchUp();
  }

  protected end(): void {
    this.#stopListening();
    if (this.#isTopicOurs) this.#topic.close();
  }

  #catchUp(): void {
    for (;;) {
      const cursor = this.contents.applied;
      const head = this.#topic.head();
      if (cursor !== undefined && cursor.epoch === head.epoch && cursor.offset === head.offset) return;
      const outcome = cursor === undefined ? undefined : this.#topic.read(cursor, READ_BATCH);
      const last = outcome?.kind === 'events' ? outcome.events.at(-1) : undefined;
      if (outcome?.kind !== 'events' || last === undefined) {
        // No position to go on from, or a history that no longer holds what follows it.
        this.#clears += 1;
        this.contents.clear(head);
        return;
      }
      this.#drops += outcome.events.length;
      this.contents.apply(outcome.events, last.position);
    }
  }
}

/**
 * Makes the owner of a cache's values: where they are loaded, and where invalidations are published.
 * @throws {InvalidArgumentError}
 */
export function createCache<V>(options: OwnerOptions<V>): Cache<V> {
  return new OwnerCache(options);
}
