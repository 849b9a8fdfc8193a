import type { LocalSource } from '../../../../watch/localSource.ts';
import type { Position } from '../../../../watch/position.ts';
import type { ReachedOptions } from '../../../../watch/reached.ts';
import type { ReadOutcome } from '../../../../watch/source.ts';

/** A source whose listeners are counted: none may be left when everything is closed. */
export class CountedSource<E> implements LocalSource<E> {
  readonly #source: LocalSource<E>;
  readonly readFromOrigin: NonNullable<LocalSource<E>['readFromOrigin']> | undefined;
  listeners = 0;

  constructor(source: LocalSource<E>) {
    this.#source = source;
    this.readFromOrigin = source.readFromOrigin?.bind(source);
  }

  head(): Position {
    return this.#source.head();
  }

  read(after: Position | undefined, limit: number): ReadOutcome<E> {
    return this.#source.read(after, limit);
  }

  reached(position: Position, options?: ReachedOptions | undefined): Promise<void> {
    return this.#source.reached(position, options);
  }

  onAppend(listener: () => void): () => void {
    const end = this.#source.onAppend(listener);
    this.listeners += 1;
    let isEnded = false;
    return () => {
      if (!isEnded) this.listeners -= 1;
      isEnded = true;
      end();
    };
  }

  close(): void {
    this.#source.close();
  }
}
