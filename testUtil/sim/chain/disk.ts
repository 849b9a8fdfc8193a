/** What a table of a {@link Disk} is looked up by. */
export type DiskKey = string | number;

/** Everything on a disk at one moment: values are never changed, so a copy is cheap. */
export type DiskImage = ReadonlyMap<string, ReadonlyMap<DiskKey, unknown>>;

/** Has one row. */
const RESTORED = 'restored';

/** One table of a {@link Disk}. */
export interface DiskTable<T> {
  get(key: DiskKey): T | undefined;
  /** @param value not changed afterwards */
  set(key: DiskKey, value: T): void;
  delete(key: DiskKey): void;
  /** In no particular order. */
  entries(): [DiskKey, T][];
}

/**
 * What of a process outlives it: tables of plain values, changed in transactions. A process that is started again finds
 * what was committed when the last one died, or, where the disk was restored from a backup, some time before.
 */
export class Disk {
  readonly #tables = new Map<string, Map<DiskKey, unknown>>();
  /** What undoes the open transaction, oldest first. */
  readonly #undo: (() => void)[] = [];
  #depth = 0;
  /** Called after each transaction that has changed something: the process may die there. */
  onCommit: () => void = () => undefined;

  constructor(image: DiskImage = new Map()) {
    for (const [name, table] of image) this.#tables.set(name, new Map(table));
  }

  /** @returns what is there now */
  image(): DiskImage {
    return new Map([...this.#tables].map(([name, table]) => [name, new Map(table)]));
  }

  /** True on a disk that was restored from a backup, until somebody has done what that asks for. */
  get isRestored(): boolean {
    return this.table(RESTORED).get('') === true;
  }

  /** Says that it was restored, or that it has been seen to. */
  setRestored(isRestored: boolean): void {
    if (isRestored !== this.isRestored) this.table(RESTORED).set('', isRestored);
  }

  /** True inside of {@link transaction}. */
  get isInTransaction(): boolean {
    return this.#depth > 0;
  }

  table<T>(name: string): DiskTable<T> {
    const table = this.#tables.get(name) ?? new Map<DiskKey, unknown>();
    this.#tables.set(name, table);
    const rows = table as Map<DiskKey, T>; // whoever names a table puts one type of values into it
    return {
      get: (key) => rows.get(key),
      set: (key, value) => this.#change(rows, key, () => void rows.set(key, value)),
      delete: (key) => this.#change(rows, key, () => void rows.delete(key)),
      entries: () => [...rows],
    };
  }

  /** All that `fn` changes is kept, or, if it throws, none of it. Inside another one it is a part of that, undone by itself. */
  transaction<T>(fn: () => T): T {
    const from = this.#undo.length;
    this.#depth += 1;
    let isDone = false;
    try {
      const result = fn();
      isDone = true;
      return result;
    } finally {
      if (!isDone) while (this.#undo.length > from) this.#undo.pop()?.();
      this.#depth -= 1;
      if (this.#depth === 0) this.#end();
    }
  }

  #end(): void {
    const hasChanged = this.#undo.length > 0;
    this.#undo.length = 0;
    if (hasChanged) this.onCommit();
  }

  #change<T>(rows: Map<DiskKey, T>, key: DiskKey, change: () => void): void {
    const had = rows.has(key);
    const old = rows.get(key);
    this.transaction(() => {
      change();
      this.#undo.push(() => {
        // The cast: what was there was a T, where anything was.
        if (had) rows.set(key, old as T);
        else rows.delete(key);
      });
    });
  }
}
