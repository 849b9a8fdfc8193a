import { InvalidArgumentError } from '../watch/errors.ts';
import { isPosition } from '../watch/isPosition.ts';
import type { Position } from '../watch/position.ts';
import type { CacheStore } from './store.ts';

/** @throws {InvalidArgumentError} for a promise: what comes of it would be known too late */
function atOnce<T>(method: string, answer: T): T {
  if (!(answer instanceof Promise)) return answer;
  answer.catch(() => undefined); // its failure must not end the process
  throw new InvalidArgumentError(`expected a store that answers at once, got a promise from ${method}`);
}

/**
 * The user's store, which may fail. What could not be dropped must never be served: after a failed deletion nothing of the
 * store is believed until it was cleared, and no position is saved, so that a later process makes the deletion good.
 */
export class Held<V> {
  readonly #store: CacheStore<V>;
  #isDistrusted = false;

  constructor(store: CacheStore<V>) {
    this.#store = store;
  }

  /**
   * Looks what an earlier process has left.
   * @returns where its values stand; undefined, and an empty store, if that is not known
   * @throws {InvalidArgumentError} for a store that is asynchronous
   */
  restore(): Position | undefined {
    let saved: unknown;
    try {
      saved = this.#store.position?.load();
    } catch {
      // Values of an unknown age, as below.
    }
    atOnce('position.load', saved);
    if (isPosition(saved)) return { epoch: saved.epoch, offset: saved.offset };
    let cleared: unknown;
    try {
      cleared = this.#store.clear();
    } catch {
      this.#isDistrusted = true;
    }
    atOnce('clear', cleared);
    return undefined;
  }

  get(key: string): V | undefined {
    if (!this.#isUsable()) return undefined;
    try {
      return atOnce('get', this.#store.get(key));
    } catch {
      return undefined; // as if it were not there: it is fetched
    }
  }

  set(key: string, value: V): void {
    if (value === undefined || !this.#isUsable()) return;
    try {
      atOnce('set', this.#store.set(key, value));
    } catch {
      // Whether the one before is still there, nobody knows. That may be an older one.
      this.delete(key);
    }
  }

  delete(key: string): void {
    try {
      atOnce('delete', this.#store.delete(key));
    } catch {
      this.#isDistrusted = true;
    }
  }

  clear(): void {
    try {
      atOnce('clear', this.#store.clear());
      this.#isDistrusted = false;
    } catch {
      this.#isDistrusted = true;
    }
  }

  /** Everything up to a position was dropped. */
  save(position: Position): void {
    if (!this.#isUsable()) return;
    try {
      atOnce('position.save', this.#store.position?.save(position));
    } catch {
      // The one saved before is behind: what is dropped already will be dropped once more.
    }
  }

  #isUsable(): boolean {
    if (this.#isDistrusted) this.clear();
    return !this.#isDistrusted;
  }
}
