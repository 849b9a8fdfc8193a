/** What a key had up to a version; undefined if it was not there. */
interface Past<V> {
  readonly until: number;
  readonly held: { readonly value: V } | undefined;
}

/** A map as it was at one moment, read while it changes. */
export interface MapView<V> {
  /** Entries, as they are asked for. One that changes meanwhile may come a second time, with the value of then. */
  readonly entries: Iterable<readonly [string, V]>;
  /** What is kept for it is given up. */
  close(): void;
}

const SWEEP_FROM = 1_024;

/**
 * A map that can be read as it was while it changes. Nothing is copied for a reader: what is changed or taken out is kept once, for
 * all who came before, until the last of them has gone.
 */
export class VersionedMap<V> {
  readonly #now = new Map<string, V>();
  /** Of each key in order. */
  readonly #past = new Map<string, Past<V>[]>();
  /** How many read each version. */
  readonly #readers = new Map<number, number>();
  /** Counts changes. */
  #version = 0;
  /** The version that somebody came to last. */
  #newest = -1;
  #kept = 0;
  #sweepFrom = SWEEP_FROM;

  get size(): number {
    return this.#now.size;
  }
  /** How many values of the past there are. */
  get kept(): number {
    return this.#kept;
  }

  get(key: string): V | undefined {
    return this.#now.get(key);
  }

  has(key: string): boolean {
    return this.#now.has(key);
  }

  set(key: string, value: V): void {
    this.#keep(key);
    this.#now.set(key, value);
  }

  delete(key: string): void {
    this.#keep(key);
    this.#now.delete(key);
  }

  /** All there is now. */
  copy(): Map<string, V> {
    return new Map(this.#now);
  }

  /** All there is now, or what there is of some keys, for whoever reads it later. */
  view(keys?: readonly string[]): MapView<V> {
    if (keys !== undefined) return { entries: this.#entriesOf(keys), close: () => undefined };
    const version = this.#version;
    this.#newest = version;
    this.#readers.set(version, (this.#readers.get(version) ?? 0) + 1);
    let isOpen = true;
    return {
      entries: { [Symbol.iterator]: () => this.#entriesAt(version) },
      close: () => {
        if (isOpen) this.#leave(version);
        isOpen = false;
      },
    };
  }

  #entriesOf(keys: readonly string[]): [string, V][] {
    // The cast: it is there, and V may have undefined in it.
    return [...new Set(keys)].flatMap((key) => (this.#now.has(key) ? [[key, this.#now.get(key) as V]] : []));
  }

  *#entriesAt(version: number): Generator<readonly [string, V]> {
    // What has not changed is where it was; a key that goes and comes again is at the end, where it would be met for ever.
    for (const entry of this.#now) if (!this.#hasChanged(entry[0], version)) yield entry;
    const end = this.#version; // what changes from now on was met above
    for (const [key, past] of this.#past) {
      const then = past.find(({ until }) => until >= version);
      if (then?.held !== undefined && then.until < end) yield [key, then.held.value];
    }
  }

  #hasChanged(key: string, version: number): boolean {
    const last = this.#past.get(key)?.at(-1);
    return last !== undefined && last.until >= version;
  }

  /** Called before a change. */
  #keep(key: string): void {
    const until = this.#version;
    this.#version += 1;
    // Nobody has come since it changed last.
    if (this.#readers.size === 0 || this.#hasChanged(key, this.#newest)) return;
    // The cast: it is there, and V may have undefined in it.
    const held = this.#now.has(key) ? { value: this.#now.get(key) as V } : undefined;
    const past = this.#past.get(key);
    if (past === undefined) this.#past.set(key, [{ until, held }]);
    else past.push({ until, held });
    this.#kept += 1;
    if (this.#kept >= this.#sweepFrom) this.#sweep();
  }

  #leave(version: number): void {
    const others = (this.#readers.get(version) ?? 1) - 1;
    if (others > 0) this.#readers.set(version, others);
    else this.#readers.delete(version);
    if (this.#readers.size === 0) this.#sweep();
  }

  /** Gives up what nobody reads any more. As much must come again before the next time: each change pays for a few steps. */
  #sweep(): void {
    const versions = [...this.#readers.keys()];
    this.#kept = 0;
    for (const [key, past] of this.#past) {
      const needed = past.filter(({ until }, index) => firstAfter(versions, past[index - 1]?.until ?? -1) <= until);
      const isGone = !this.#now.has(key) && needed.every(({ held }) => held === undefined);
      if (isGone || needed.length === 0) this.#past.delete(key);
      else this.#past.set(key, needed);
      this.#kept += isGone ? 0 : needed.length;
    }
    this.#sweepFrom = Math.max(SWEEP_FROM, this.#kept * 2);
  }
}

/** The first of ascending numbers that is beyond another. */
function firstAfter(numbers: readonly number[], before: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= before) low = middle + 1;
    else high = middle;
  }
  return numbers[low] ?? Number.POSITIVE_INFINITY;
}
