import type { SqliteDatabase } from '../watch/sqlite.ts';
import { AsyncEffectError, messageOf } from './errors.ts';

/**
 * Anything but a promise: what a transactional effect may return. `void` is in it so that an effect may return nothing; an
 * `async` function does not fit.
 */
export type NotAPromise =
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing has the type void, and none else
  void | undefined | null | string | number | boolean | bigint | symbol | (object & { readonly then?: never });

/** @throws {AsyncEffectError} if `returned` is a promise, which is then left to itself, its rejection included */
export function refusePromise<T>(returned: T, what: string): T {
  if (typeof returned !== 'object' || returned === null || !('then' in returned)) return returned;
  if (typeof returned.then !== 'function') return returned;
  Promise.resolve(returned).catch(() => undefined);
  throw new AsyncEffectError(what);
}

/**
 * Runs `fn` in a transaction of the handle: all of it is committed, or none. Inside a transaction that is already open it
 * becomes a part of that one (a savepoint), and is as durable as that one turns out to be.
 * @throws {AsyncEffectError} if `fn` returns a promise; it was rolled back
 */
export function inTransaction<T extends NotAPromise>(db: SqliteDatabase, fn: () => T): T {
  return begin(db) ? committed(db, fn) : inSavepoint(db, fn);
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

/** Runs `fn` in the transaction that was just begun. */
export function committed<T>(db: SqliteDatabase, fn: () => T): T {
  let result: T;
  try {
    result = refusePromise(fn(), 'what runs in a transaction');
    db.exec('COMMIT');
  } catch (error) {
    rollBack(db);
    throw error;
  }
  return result;
}

/** Runs `fn` in a savepoint of the transaction that is open. */
export function inSavepoint<T>(db: SqliteDatabase, fn: () => T): T {
  db.exec('SAVEPOINT holdfast');
  let result: T;
  try {
    result = refusePromise(fn(), 'what runs in a transaction');
  } catch (error) {
    db.exec('ROLLBACK TO holdfast');
    db.exec('RELEASE holdfast');
    throw error;
  }
  db.exec('RELEASE holdfast');
  return result;
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
