import { InvalidArgumentError } from '../watch/errors.ts';
import type { Position } from '../watch/position.ts';

/**
 * Where a cache keeps its values: a `Map`, or anything like one; synchronous, and a method that returns a promise is one that
 * failed. What is undefined is not held. A store belongs to one cache, and is its own bound.
 */
export interface CacheStore<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): unknown;
  delete(key: string): unknown;
  clear(): unknown;
  /**
   * Present where the values outlive the process. Changes must last in the order in which they are made: were a position to
   * last without the deletions before it, an old value would be served for ever. (A database: by a handle of its own, so that
   * no rollback of the application's takes a deletion back.) Without it the store is cleared when the cache begins.
   */
  readonly position?: SavedPosition | undefined;
}

/** How much of the owner's history the values of a store have heard. */
export interface SavedPosition {
  /** What was saved last; undefined if nothing was. */
  load(): Position | undefined;
  save(position: Position): unknown;
}

interface Entry<V> {
  readonly key: string;
  value: V;
  older: Entry<V> | undefined;
  newer: Entry<V> | undefined;
}

/** The store of a cache that was given none: so many values in memory, and of more those that were used last. */
export class MemoryCacheStore<V> implements CacheStore<V> {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, Entry<V>>();
  #newest: Entry<V> | undefined;
  #oldest: Entry<V> | undefined;

  /** @throws {InvalidArgumentError} */
  constructor(maxEntries: number) {
    if (!(Number.isSafeInteger(maxEntries) && maxEntries >= 1))
      throw new InvalidArgumentError(`expected maxEntries to be a whole number from 1, got ${maxEntries}`);
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // Only the list knows of the use: to delete and set in the Map for every read would make it grow garbage.
    if (entry !== this.#newest) {
      this.#unlink(entry);
      this.#link(entry);
    }
    return entry.value;
  }

  set(key: string, value: V): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.value = value;
      this.#unlink(entry);
      this.#link(entry);
      return;
    }
    if (this.#entries.size >= this.#maxEntries && this.#oldest !== undefined) this.delete(this.#oldest.key);
    const fresh: Entry<V> = { key, value, older: undefined, newer: undefined };
    this.#entries.set(key, fresh);
    this.#link(fresh);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#unlink(entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#newest = undefined;
    this.#oldest = undefined;
  }

  #link(entry: Entry<V>): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  #unlink(entry: Entry<V>): void {
    if (entry.newer !== undefined) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    if (entry.older !== undefined) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
    // One that was deleted must not keep its neighbours alive.
    entry.older = undefined;
    entry.newer = undefined;
  }
}
