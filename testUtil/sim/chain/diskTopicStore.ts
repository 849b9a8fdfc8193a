import type { Clock } from '../../../router/index.ts';
import type { Position } from '../../../watch/position.ts';
import type { Positioned } from '../../../watch/source.ts';
import type { Extent, SettledKeep, TopicStore } from '../../../watch/store.ts';
import type { Disk, DiskTable } from './disk.ts';

interface StoredEvent {
  readonly event: unknown;
  readonly at: number;
}

/** A topic's history on a simulated disk: what the SQLite store is on a real one. */
export class DiskTopicStore implements TopicStore {
  readonly #disk: Disk;
  readonly #extent: DiskTable<Extent>;
  readonly #events: DiskTable<StoredEvent>;

  constructor(disk: Disk, name: string, clock: Clock) {
    this.#disk = disk;
    this.#extent = disk.table(`topic ${name}`);
    this.#events = disk.table(`events of ${name}`);
    if (this.#extent.get('') === undefined) this.beginAnew(clock);
  }

  /** Another history under the same name, for a disk that was restored from a backup. */
  beginAnew(clock: Clock): void {
    this.#disk.transaction(() => {
      for (const [offset] of this.#events.entries()) this.#events.delete(offset);
      this.#extent.set('', { epoch: clock.id(), floor: 0, head: 0 });
    });
  }

  extent(): Extent {
    const extent = this.#extent.get('');
    if (extent === undefined) throw new Error('expected a history, found none');
    return extent;
  }

  append(events: readonly unknown[], at: number, keep: SettledKeep): Position {
    const isPart = this.#disk.isInTransaction;
    return this.#disk.transaction(() => {
      const extent = this.extent();
      let { head } = extent;
      for (const event of events) {
        head += 1;
        this.#events.set(head, { event, at });
      }
      this.#extent.set('', { ...extent, head });
      if (!isPart) this.trim(at, keep);
      return { epoch: extent.epoch, offset: head };
    });
  }

  trim(at: number, keep: SettledKeep): void {
    this.#disk.transaction(() => {
      const extent = this.extent();
      let { floor } = extent;
      const isOld = (offset: number): boolean => (this.#events.get(offset)?.at ?? at) < at - keep.ageMs;
      while (floor < extent.head && (extent.head - floor > keep.events || isOld(floor + 1))) {
        floor += 1;
        this.#events.delete(floor);
      }
      if (floor !== extent.floor) this.#extent.set('', { ...extent, floor });
    });
  }

  read(after: number, limit: number): readonly Positioned<unknown>[] {
    const { epoch } = this.extent();
    const found: Positioned<unknown>[] = [];
    for (let offset = after + 1; found.length < limit; offset++) {
      const stored = this.#events.get(offset);
      if (stored === undefined) break;
      found.push({ position: { epoch, offset }, event: stored.event });
    }
    return found;
  }

  isUnsettled(): boolean {
    return this.#disk.isInTransaction;
  }
}
