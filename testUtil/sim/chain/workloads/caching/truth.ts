import type { Position } from '../../../../../watch/position.ts';
import type { Topic } from '../../../../../watch/topic.ts';
import { CountedSource } from '../countedSource.ts';
import { Requests } from './requests.ts';

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
  /** Invalidations on their way from somebody's program to the owner. */
  readonly requests = new Requests();
  /** Rises when what was written is taken back: what was known before is not comparable. */
  era = 0;
  /** What a place may not serve anything older than, since an invalidation on its path was confirmed. By place and key. */
  readonly #least = new Map<string, number>();
  /** By epoch and key, in order. */
  readonly #histories = new Map<string, Map<string, Invalidation[]>>();

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
    for (const place of places) this.#least.set(`${place} ${key}`, Math.max(this.leastOf(place, key), version));
  }

  /** What was written of a key was invalidated there. */
  invalidatedAt(key: string, { epoch, offset }: Position, version: number): void {
    this.published.set(key, version);
    const history = this.#histories.get(epoch) ?? new Map<string, Invalidation[]>();
    this.#histories.set(epoch, history);
    const earlier = history.get(key);
    if (earlier === undefined) history.set(key, [{ offset, version }]);
    else earlier.push({ offset, version });
  }

  /** Whoever has heard everything up to a position has dropped anything older than this. */
  leastAt(key: string, position: Position | undefined): number {
    if (position === undefined) return 0;
    const heard = this.#histories.get(position.epoch)?.get(key);
    for (let i = (heard?.length ?? 0) - 1; i >= 0; i--) {
      const invalidation = heard?.[i];
      if (invalidation !== undefined && invalidation.offset <= position.offset) return invalidation.version;
    }
    return 0;
  }

  takenBack(): void {
    this.era += 1;
    this.#least.clear();
    this.published.clear();
    this.#histories.clear();
  }
}

/** A key was invalidated at this offset, when what was written of it was of this version. */
interface Invalidation {
  readonly offset: number;
  readonly version: number;
}

/** A topic that tells of each event that was published, and whose listeners are counted. */
export class ToldTopic<E> extends CountedSource<E> implements Topic<E> {
  readonly event: Topic<E>['event'];
  readonly #topic: Topic<E>;
  readonly #isAlive: () => boolean;
  readonly #tell: (event: E, position: Position) => void;

  /** @param isAlive of the process: what is published after its death is not */
  constructor(topic: Topic<E>, isAlive: () => boolean, tell: (event: E, position: Position) => void) {
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
    const before = position.offset - events.length;
    if (wasAlive) for (const [i, event] of events.entries()) this.#tell(event, { ...position, offset: before + 1 + i });
    return position;
  }
}
