import { type Static, Type } from '@sinclair/typebox';
import { type Clock, type Infer, type PayloadSchema, systemClock } from '../router/index.ts';
import { InvalidArgumentError } from './errors.ts';
import { createEventCheck } from './eventCheck.ts';
import { MAX_KEY_LENGTH } from './limits.ts';
import type { Position } from './position.ts';
import type { Keep } from './store.ts';
import { createTopic, type Topic } from './topic.ts';
import { type MapView, VersionedMap } from './versionedMap.ts';
import type { Loaded } from './watchModes.ts';

/** Options of {@link createCollection}. */
export interface CollectionOptions<S extends PayloadSchema> {
  /** Describes a value. */
  value: S;
  /** How many changes are kept, for those who come back. */
  keep?: Keep | undefined;
  /** One key more is refused; 100 000 by default. */
  maxEntries?: number | undefined;
  clock?: Clock | undefined;
}

/** What happened to a key of a collection. */
export type CollectionEvent<V> = { type: 'set'; key: string; value: V } | { type: 'delete'; key: string };

const keySchema = Type.String({ maxLength: MAX_KEY_LENGTH });

/** Describes a {@link CollectionEvent} with values of a schema. */
export function collectionEventSchema<S extends PayloadSchema>(value: S) {
  return Type.Union([
    Type.Object({ type: Type.Literal('set'), key: keySchema, value }),
    Type.Object({ type: Type.Literal('delete'), key: keySchema }),
  ]);
}

/**
 * Values by key that others watch: who is in which room. It lives in memory, and ends with its process: whoever watches it
 * then is reset, and loads what the next one has.
 */
export interface Collection<V> {
  readonly size: number;
  get(key: string): V | undefined;
  has(key: string): boolean;
  /**
   * Puts a value under a key, and tells.
   * @throws {InvalidEventError | InvalidArgumentError | WatchClosedError} nothing is changed
   */
  set(key: string, value: V): Position;
  /**
   * Takes a key out, and tells. Of a key that is not there, undefined.
   * @throws {WatchClosedError} the key stays: close the collection after the servers whose calls clean up in it
   */
  delete(key: string): Position | undefined;
  /** All there is, and the position it is of; a copy, for each call. */
  snapshot(): Loaded<ReadonlyMap<string, V>>;
  /** The changes, as any topic's: to be watched in this process, or waited for with `reached`. */
  readonly topic: Topic<CollectionEvent<V>>;
  close(): void;
}

/** What a collection was at a position. */
export interface CollectionView<V> extends MapView<V> {
  readonly position: Position;
}

/** A collection that knows the schema of its values, for `collectionProcedures`. */
export interface TypedCollection<S extends PayloadSchema> extends Collection<Infer<S>> {
  readonly value: S;
  /**
   * All there is, or these keys of it, to be read bit by bit without a copy. What changes is kept as it was until the view is
   * closed.
   */
  view(keys?: readonly string[] | undefined): CollectionView<Infer<S>>;
}

class TopicCollection<S extends PayloadSchema> implements TypedCollection<S> {
  readonly value: S;
  readonly topic: Topic<CollectionEvent<Infer<S>>>;
  readonly #entries = new VersionedMap<Infer<S>>();
  readonly #maxEntries: number;
  readonly #check: (event: unknown) => void;

  constructor({ value, keep, maxEntries = 100_000, clock = systemClock }: CollectionOptions<S>) {
    if (!(maxEntries >= 1)) throw new InvalidArgumentError(`expected maxEntries of 1 or more, got ${maxEntries}`);
    this.value = value;
    this.#maxEntries = maxEntries;
    const event = collectionEventSchema(value);
    this.#check = createEventCheck(event);
    // The cast: Static of that schema is CollectionEvent<Infer<S>>, which TypeScript cannot see while S is open.
    this.topic = createTopic({ event, keep, clock }) as Topic<Static<typeof event>> as never;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Infer<S> | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: Infer<S>): Position {
    const event: CollectionEvent<Infer<S>> = { type: 'set', key, value };
    this.#check(event);
    if (!this.#entries.has(key) && this.#entries.size >= this.#maxEntries)
      throw new InvalidArgumentError(`expected at most ${this.#maxEntries} keys, got one more`);
    return this.#change(key, event, () => this.#entries.set(key, value));
  }

  delete(key: string): Position | undefined {
    if (!this.#entries.has(key)) return undefined;
    return this.#change(key, { type: 'delete', key }, () => this.#entries.delete(key));
  }

  snapshot(): Loaded<ReadonlyMap<string, Infer<S>>> {
    return { value: this.#entries.copy(), position: this.topic.head() };
  }

  view(keys?: readonly string[]): CollectionView<Infer<S>> {
    return { ...this.#entries.view(keys), position: this.topic.head() };
  }

  close(): void {
    this.topic.close();
  }

  /** Changes first, for whoever is told may look; and takes it back if nobody could be told. */
  #change(key: string, event: CollectionEvent<Infer<S>>, change: () => void): Position {
    const before = this.#entries.has(key) ? { value: this.#entries.get(key) } : undefined;
    change();
    try {
      return this.topic.publish(event);
    } catch (error) {
      // The cast: it was there a moment ago.
      if (before !== undefined) this.#entries.set(key, before.value as Infer<S>);
      else this.#entries.delete(key);
      throw error;
    }
  }
}

/** Makes a collection. */
export function createCollection<S extends PayloadSchema>(options: CollectionOptions<S>): TypedCollection<S> {
  return new TopicCollection(options);
}
