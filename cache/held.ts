import type { Position } from '../watch/position.ts';
import type { CacheStore } from './store.ts';

function isPosition(value: unknown): value is Position {
  if (typeof value !== 'object' || value === null || !('epoch' in value) || !('offset' in value)) return false;
  const { epoch, offset } = value;
  return typeof epoch === 'string' && epoch.length > 0 && Number.isSafeInteger(offset) && Number(offset) >= 0;
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
   */
  restore(): Position | undefined {
    try {
      const saved: unknown = this.#store.position?.load();
      if (isPosition(saved)) return { epoch: saved.epoch, offset: saved.offset };
    } catch {
      // Values of an unknown age, as below.
    }
    this.clear();
    return undefined;
  }

  get(key: string): V | undefined {
    if (!this.#isUsable()) return undefined;
    try {
      return this.#store.get(key);
    } catch {
      return undefined; // as if it were not there: it is fetched
    }
  }

  set(key: string, value: V): void {
    if (value === undefined || !this.#isUsable()) return;
    try {
      this.#store.set(key, value);
    } catch {
      // Whether the one before is still there, nobody knows. That may be an older one.
      this.delete(key);
    }
  }

  delete(key: string): void {
    try {
      this.#store.delete(key);
    } catch {
      this.#isDistrusted = true;
    }
  }

  clear(): void {
    try {
      this.#store.clear();
      this.#isDistrusted = false;
    } catch {
      this.#isDistrusted = true;
    }
  }

  /** Everything up to a position was dropped. */
  save(position: Position): void {
    if (!this.#isUsable()) return;
    try {
      this.#store.position?.save(position);
    } catch {
      // The one saved before is behind: what is dropped already will be dropped once more.
    }
  }

  #isUsable(): boolean {
    if (this.#isDistrusted) this.clear();
    return !this.#isDistrusted;
  }
}
