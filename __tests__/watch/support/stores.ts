import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { MemoryTopicStore } from '../../../watch/memoryStore.ts';
import type { SqliteDatabase } from '../../../watch/sqlite.ts';
import { SqliteTopicStore } from '../../../watch/sqliteStore.ts';
import type { TopicStore } from '../../../watch/store.ts';

/** A store and what is under it. */
export interface OpenStore {
  store: TopicStore;
  /** The handle, where there is one. */
  db: SqliteDatabase | undefined;
  /** Closes it and opens the same history again; undefined where a history ends with its process. */
  reopen: (() => OpenStore) | undefined;
  close(): void;
}

interface ClosableDatabase extends SqliteDatabase {
  close(): unknown;
}

/** A folder that is removed when the test ends. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-watch-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

function onDatabase(open: (path: string) => ClosableDatabase, path: string, remove: () => void): OpenStore {
  const db = open(path);
  return {
    store: new SqliteTopicStore(db, { name: 'a' }),
    db,
    reopen:
      path === ':memory:'
        ? undefined
        : () => {
            db.close();
            return onDatabase(open, path, remove);
          },
    close() {
      db.close();
      remove();
    },
  };
}

function onDisk(open: (path: string) => ClosableDatabase): OpenStore {
  const folder = temporaryFolder();
  return onDatabase(open, join(folder.path, 'topics.db'), folder.remove);
}

const openLibsql = (path: string): ClosableDatabase => new Database(path);

/** Node's own SQLite, where the Node that runs the tests has one. */
function openNodeSqlite(): ((path: string) => ClosableDatabase) | undefined {
  try {
    // The cast: what Node documents, of which its types of version 20 know nothing.
    const { DatabaseSync } = createRequire(import.meta.url)('node:sqlite') as {
      DatabaseSync: new (path: string) => ClosableDatabase;
    };
    return (path) => new DatabaseSync(path);
  } catch {
    return undefined;
  }
}

const openNode = openNodeSqlite();

/** A handle that says nothing of its transactions, as node:sqlite did at first. */
function silent(path: string): ClosableDatabase & { readonly open: unknown } {
  const db = openLibsql(path);
  return {
    exec: (sql) => db.exec(sql),
    prepare: (sql) => db.prepare(sql),
    close: () => db.close(),
    get open() {
      return 'open' in db && db.open;
    },
  };
}

/** Every store the contract is run over. */
export const stores: readonly { name: string; open: () => OpenStore }[] = [
  {
    name: 'memory',
    open: () => ({ store: new MemoryTopicStore(), db: undefined, reopen: undefined, close: () => undefined }),
  },
  { name: 'libsql in memory', open: () => onDatabase(openLibsql, ':memory:', () => undefined) },
  { name: 'libsql on disk', open: () => onDisk(openLibsql) },
  { name: 'a handle that says nothing of its transactions', open: () => onDisk(silent) },
  ...(openNode === undefined ? [] : [{ name: 'node:sqlite on disk', open: () => onDisk(openNode) }]),
];

/** Those of them that have a database. */
export const databaseStores = stores.filter(({ name }) => name !== 'memory');
