import type { CacheStore } from '../../../cache/store.ts';
import type { Position } from '../../../watch/position.ts';
import type { SqliteDatabase } from '../../../watch/sqlite.ts';

interface TextRow {
  readonly text: string;
}

/** A store as a user would write one: values and position in SQLite, each change a transaction of its own, in order. */
export function sqliteCacheStore<V>(db: SqliteDatabase): CacheStore<V> {
  db.exec('CREATE TABLE IF NOT EXISTS held (key TEXT PRIMARY KEY, text TEXT NOT NULL)');
  db.exec('CREATE TABLE IF NOT EXISTS heard (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL)');
  const select = db.prepare('SELECT text FROM held WHERE key = ?');
  const insert = db.prepare('INSERT INTO held VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text');
  const remove = db.prepare('DELETE FROM held WHERE key = ?');
  const removeAll = db.prepare('DELETE FROM held');
  const selectHeard = db.prepare('SELECT text FROM heard');
  const saveHeard = db.prepare('INSERT INTO heard VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text');
  // The casts: the column that the statements name, and what was put there as JSON.
  const read = <T>(row: unknown): T | undefined =>
    row === undefined || row === null ? undefined : (JSON.parse((row as TextRow).text) as T);
  return {
    get: (key) => read<V>(select.get(key)),
    set: (key, value) => insert.run(key, JSON.stringify(value)),
    delete: (key) => remove.run(key),
    clear: () => removeAll.run(),
    position: {
      load: () => read<Position>(selectHeard.get()),
      save: (position) => saveHeard.run(JSON.stringify(position)),
    },
  };
}
