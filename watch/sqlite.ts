/**
 * What better-sqlite3, libsql and node:sqlite have in common: the handle is the application's, opened and closed by it.
 * Everything is synchronous, so nobody else's statement can come between those of a transaction.
 */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

export interface SqliteStatement {
  run(...parameters: SqliteValue[]): unknown;
  /** A row by its columns' names; undefined (or null) where there is none. */
  get(...parameters: SqliteValue[]): unknown;
  all(...parameters: SqliteValue[]): unknown[];
}

export type SqliteValue = string | number | bigint | Uint8Array | null;
