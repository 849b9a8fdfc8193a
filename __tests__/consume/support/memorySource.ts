import type { Position } from '../../../watch/position.ts';
import type { EventSource, Positioned, ReadOutcome } from '../../../watch/source.ts';

/** A history in memory that keeps its newest `keep` events. */
export class MemorySource<E> implements EventSource<E> {
  /** How often the source was asked. */
  heads = 0;
  reads = 0;
  readonly #keep: number;
  #epoch: string;
  #offset = 0;
  #events: Positioned<E>[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(keep = Number.POSITIVE_INFINITY, epoch = 'e1') {
    this.#keep = keep;
    this.#epoch = epoch;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  get position(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  append(...events: E[]): Position {
    for (const event of events) {
      this.#offset += 1;
      this.#events.push({ position: this.position, event });
    }
    if (this.#events.length > this.#keep) this.#events = this.#events.slice(-this.#keep);
    for (const listener of this.#listeners) listener();
    return this.position;
  }

  /** What a restart does to a topic in memory: another history. */
  restart(epoch: string): void {
    this.#epoch = epoch;
    this.#offset = 0;
    this.#events = [];
    for (const listener of this.#listeners) listener();
  }

  /** What restoring a backup does: the same history, not as far. */
  rollBackTo(offset: number): void {
    this.#events = this.#events.filter(({ position }) => position.offset <= offset);
    this.#offset = offset;
  }

  head(): Position | Promise<Position> {
    this.heads += 1;
    return this.position;
  }

  read(after: Position | undefined, limit: number): ReadOutcome<E> | Promise<ReadOutcome<E>> {
    this.reads += 1;
    const first = this.#events[0]?.position.offset ?? this.#offset + 1;
    const oldest = { epoch: this.#epoch, offset: first - 1 };
    if (after === undefined) return { kind: 'events', events: this.#events.slice(0, limit) };
    const isHere = after.epoch === this.#epoch && after.offset <= this.#offset && after.offset >= oldest.offset;
    if (!isHere) return { kind: 'gap', oldest, head: this.position };
    const from = after.offset - oldest.offset;
    return { kind: 'events', events: this.#events.slice(from, from + limit) };
  }

  onAppend(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }
}

/** The same behind a turn of the event loop, as a source on another machine would be. */
export class AsyncMemorySource<E> extends MemorySource<E> {
  override async head(): Promise<Position> {
    await new Promise((resolve) => setImmediate(resolve));
    return super.head();
  }

  override async read(after: Position | undefined, limit: number): Promise<ReadOutcome<E>> {
    const outcome = super.read(after, limit);
    await new Promise((resolve) => setImmediate(resolve));
    return outcome;
  }
}
