import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { expect } from 'vitest';
import { createEngine, type Engine } from '../../../consume/engine.ts';
import { MemoryCheckpointStore } from '../../../consume/memoryStore.ts';
import type { EngineFault, EngineOptions } from '../../../consume/options.ts';
import { SqliteCheckpointStore } from '../../../consume/sqliteStore.ts';
import type { CheckpointStore } from '../../../consume/store.ts';
import { VirtualClock } from '../../../testUtil/virtualClock.ts';
import type { SqliteDatabase } from '../../../watch/sqlite.ts';

/** Lets everything that is under way come to rest: what waits for nothing but the event loop is done by then. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** Engines on one virtual clock. Leaving the block closes them, and fails if a timer is left. */
export class Stage implements AsyncDisposable {
  readonly clock = new VirtualClock(settled);
  readonly faults: EngineFault[] = [];
  readonly #engines: Engine[] = [];

  engine<E, Tx>(options: EngineOptions<E, Tx>): Engine {
    const engine = createEngine({ clock: this.clock, onError: (fault) => this.faults.push(fault), ...options });
    this.#engines.push(engine);
    return engine;
  }

  /** Time passes: for what is due after so many milliseconds. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.#engines) await engine.close();
    await settled();
    expect(this.clock.pendingTimers, 'timers left').toBe(0);
    expect(this.clock.pendingIo, 'callbacks left').toBe(0);
  }
}

/** A store, what opens it a second time, and what its folder leaves behind. */
export interface StoreCase {
  readonly name: string;
  /** Another one over the same things, as another process would have it; undefined where there cannot be one. */
  open(): StoreUnderTest;
}

export interface StoreUnderTest extends Disposable {
  readonly store: CheckpointStore<unknown>;
  /** The same store as a process that starts anew finds it. */
  reopened(): CheckpointStore<unknown>;
  /** An effect of the application, in the transaction `tx`, or in that of `store`. */
  effect(text: string, tx?: unknown): void;
  effects(): string[];
}

/** A folder that is removed at the end. */
export function temporaryFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-consume-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function openDatabase(path: string): Database.Database {
  const db = new Database(path);
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('PRAGMA busy_timeout = 20000');
  db.exec('CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY, text TEXT NOT NULL)');
  return db;
}

/** The application's own table, on the handle that the store has, too. */
export function effectsOn(db: SqliteDatabase): Pick<StoreUnderTest, 'effect' | 'effects'> {
  return {
    effect: (text) => void db.prepare('INSERT INTO effects (text) VALUES (?)').run(text),
    // The driver's rows are objects by column.
    effects: () =>
      db
        .prepare('SELECT text FROM effects ORDER BY n')
        .all()
        .map((row) => (row as { text: string }).text),
  };
}

function memory(): StoreUnderTest {
  const store = new MemoryCheckpointStore();
  const effects: string[] = [];
  return {
    store,
    reopened: () => store,
    effect: (text) =>
      store.transaction((tx) => {
        effects.push(text);
        tx.onRollback(() => effects.pop());
      }),
    effects: () => [...effects],
    [Symbol.dispose]: () => undefined,
  };
}

function sqliteInMemory(): StoreUnderTest {
  const db = openDatabase(':memory:');
  const store = new SqliteCheckpointStore(db);
  return { store, reopened: () => new SqliteCheckpointStore(db), ...effectsOn(db), [Symbol.dispose]: () => db.close() };
}

/** @param isClosedBefore whether the second handle comes after the first, or beside it */
function onDisk(isClosedBefore: boolean): StoreUnderTest {
  const folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  let db = openDatabase(file);
  const first = db;
  const handles = [first];
  return {
    store: new SqliteCheckpointStore(db),
    reopened: () => {
      if (isClosedBefore) db.close();
      db = openDatabase(file);
      handles.push(db);
      return new SqliteCheckpointStore(db);
    },
    // A transaction of a store over SQLite is its handle.
    effect: (text, tx) => effectsOn((tx as SqliteDatabase | undefined) ?? (isClosedBefore ? db : first)).effect(text),
    effects: () => effectsOn(db).effects(),
    [Symbol.dispose]: () => {
      for (const handle of handles) if (handle.open) handle.close();
      folder[Symbol.dispose]();
    },
  };
}

/** What the contract of stores is tried on. */
export const storeCases: StoreCase[] = [
  { name: 'memory', open: memory },
  { name: 'libsql in memory', open: sqliteInMemory },
  { name: 'libsql on disk, reopened', open: () => onDisk(true) },
  { name: 'libsql on disk, two handles', open: () => onDisk(false) },
];

const nodeSqlite: { DatabaseSync: new (path: string) => SqliteDatabase & { close(): void } } | undefined =
  // A name that the compiler cannot resolve: the types of this Node do not have it, newer Nodes do.
  await import(['node', 'sqlite'].join(':')).catch(() => undefined);

if (nodeSqlite !== undefined) {
  const { DatabaseSync } = nodeSqlite;
  storeCases.push({
    name: 'node:sqlite',
    open: () => {
      const db = new DatabaseSync(':memory:');
      db.exec('CREATE TABLE effects (n INTEGER PRIMARY KEY, text TEXT NOT NULL)');
      const store = new SqliteCheckpointStore(db);
      return {
        store,
        reopened: () => new SqliteCheckpointStore(db),
        ...effectsOn(db),
        [Symbol.dispose]: () => db.close(),
      };
    },
  });
}
