import type { SqliteDatabase } from '../watch/sqlite.ts';
import { AsyncEffectError, messageOf } from './errors.ts';

/** @throws {AsyncEffectError} if `returned` is a promise, which is then left to itself, its rejection included */
export function refusePromise<T>(returned: T, what: string): T {
  if (typeof returned !== 'object' || returned === null || !('then' in returned)) return returned;
  if (typeof returned.then !== 'function') return returned;
  Promise.resolve(returned).catch(() => undefined);
  throw new AsyncEffectError(what);
}

/** @returns false if a transaction was open already */
export function begin(db: SqliteDatabase): boolean {
  try {
    // Takes the write lock at once: one that began by reading could not be upgraded when somebody else wrote meanwhile.
    db.exec('BEGIN IMMEDIATE');
    return true;
  } catch (error) {
    // The only thing that the three drivers have in common here is SQLite's own text.
    if (messageOf(error).includes('within a transaction')) return false;
    throw error;
  }
}

/** Best effort: the error that led here is the one to report. */
export function rollBack(db: SqliteDatabase): void {
  // A second time if need be: left open, the transaction would take in whatever the application does next.
  for (let tries = 0; tries < 2; tries++) {
    try {
      db.exec('ROLLBACK');
      return;
    } catch (error) {
      // A full disk, among others, makes SQLite roll back by itself.
      if (messageOf(error).includes('no transaction is active')) return;
    }
  }
}
