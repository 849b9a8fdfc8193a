import type { Position } from '../../../../../watch/position.ts';
import type { Topic } from '../../../../../watch/topic.ts';
import { CountedSource } from '../countedSource.ts';

/** Keys that change all the time, */
export const hotKeys = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
/** and some that change so rarely that nothing heals by itself what went wrong with them. */
export const coldKeys = Array.from({ length: 40 }, (_, i) => `cold-${i}`);
export const cacheKeys: readonly string[] = [...hotKeys, ...coldKeys];

/** What everybody in the chain would agree on if they could see all of it. */
export class Truth {
  /** What is written, by key, and the highest that ever was. */
  readonly written = new Map<string, number>();
  readonly #highest = new Map<string, number>();
  /** What was written when the key was invalidated last. */
  readonly published = new Map<string, number>();
  /** Invalidations that somebody's program asked for, and requests for one that came to the provider. */
  asked = 0;
  requested = 0;
  confirmed = 0;
  /** Rises when what was written is taken back: what was known before is not comparable. */
  era = 0;
  /** What a place may not serve anything older than, since an invalidation on its path was confirmed. By place and key. */
  readonly #least = new Map<string, number>();

  leastOf(place: string, key: string): number {
    return this.#least.get(`${place} ${key}`) ?? 0;
  }

  write(key: string, version: number): void {
    this.written.set(key, version);
    this.#highest.set(key, Math.max(version, this.#highest.get(key) ?? 0));
  }

  wasEverWritten(key: string, version: number): boolean {
    return version <= (this.#highest.get(key) ?? 0);
  }

  /** An invalidation of what was `version` then resolved: none of these places serves anything older. */
  confirm(places: readonly string[], key: string, version: number): void {
    this.confirmed += 1;
    for (const place of places) this.#least.set(`${place} ${key}`, Math.max(this.leastOf(place, key), version));
  }

  takenBack(): void {
    this.era += 1;
    this.#least.clear();
    this.published.clear();
  }
}

/** A topic that tells of each event that was published, and whose listeners are counted. */
export class ToldTopic<E> extends CountedSource<E> implements Topic<E> {
  readonly event: Topic<E>['event'];
  readonly #topic: Topic<E>;
  readonly #isAlive: () => boolean;
  readonly #tell: (event: E) => void;

  /** @param isAlive of the process: what is published after its death is not */
  constructor(topic: Topic<E>, isAlive: () => boolean, tell: (event: E) => void) {
    super(topic);
    this.event = topic.event;
    this.#topic = topic;
    this.#isAlive = isAlive;
    this.#tell = tell;
  }

  publish(event: E): Position {
    return this.publishAll([event]);
  }

  publishAll(events: readonly E[]): Position {
    const wasAlive = this.#isAlive(); // it may die of this
    const position = this.#topic.publishAll(events);
    if (wasAlive) for (const event of events) this.#tell(event);
    return position;
  }
}
