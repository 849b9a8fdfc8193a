import type { CacheStore, SavedPosition } from '../../../../../cache/store.ts';
import type { Position } from '../../../../../watch/position.ts';
import type { Disk, DiskTable } from '../../disk.ts';

/** Values that outlive the process, with how much of the history they have heard. */
export class DiskCacheStore<V> implements CacheStore<V> {
  readonly position: SavedPosition;
  readonly #values: DiskTable<V>;

  constructor(disk: Disk) {
    this.#values = disk.table('cached values');
    const positions = disk.table<Position>('cached position');
    this.position = { load: () => positions.get(''), save: (position) => positions.set('', position) };
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    this.#values.set(key, value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  clear(): void {
    for (const [key] of this.#values.entries()) this.#values.delete(key);
  }
}
