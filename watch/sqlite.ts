import { TransactionError } from './errors.ts';
import { checkShape } from './shape.ts';

/**
 * What better-sqlite3, libsql and node:sqlite have in common: the handle is the application's, opened and closed by it.
 * Everything is synchronous, so nobody else's statement can come between those of a transaction.
 */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

/** What all of them make of an SQL text. */
export interface SqliteStatement {
  run(...parameters: SqliteParameters): unknown;
  /** A row by its columns' names; undefined (or null) where there is none. */
  get(...parameters: SqliteParameters): unknown;
  all(...parameters: SqliteParameters): unknown[];
}

/**
 * {@link SqliteValue}s. Not their type: to TypeScript before 7 a statement of better-sqlite3 or libsql would not fit, whose parameters
 * are whatever the generic `prepare` was called with.
 */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type SqliteParameters = any[];

/** @throws {InvalidArgumentError} for what is none of them, such as a path */
export function checkDatabase(db: unknown): void {
  checkShape('an open database of better-sqlite3, libsql or node:sqlite', db, ['exec', 'prepare']);
}

/** What they take as a parameter. */
export type SqliteValue = string | number | bigint | Uint8Array | null;

/**
 * Anything but a promise: what a transactional effect may return. `void` is in it so that an effect may return nothing; an
 * `async` function does not fit.
 */
export type NotAPromise =
  // biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing has the type void, and none else
  void | undefined | null | string | number | boolean | bigint | symbol | (object & { readonly then?: never });

/** What the drivers say about transactions, each under a name of its own; node:sqlite says nothing before Node 22.16. */
interface TransactionState {
  readonly inTransaction?: unknown;
  readonly isTransaction?: unknown;
  readonly open?: unknown;
  readonly isOpen?: unknown;
}

/**
 * Whether the handle is inside a transaction, whose changes may still be rolled back.
 * @throws {TransactionError} if it is closed
 */
export function isInTransaction(db: SqliteDatabase): boolean {
  const { open, isOpen }: TransactionState = db as TransactionState; // absent, or as the drivers have it
  // Asked first: libsql ends the process when a closed handle is asked for its transaction.
  if (open === false || isOpen === false) throw new TransactionError('expected an open database, got a closed one');
  const { inTransaction, isTransaction }: TransactionState = db as TransactionState; // the same
  if (typeof inTransaction === 'boolean') return inTransaction;
  if (typeof isTransaction === 'boolean') return isTransaction;
  try {
    db.exec('BEGIN');
  } catch (error) {
    if (isNested(error)) return true;
    throw error;
  }
  db.exec('ROLLBACK');
  return false;
}

function isNested(error: unknown): boolean {
  return error instanceof Error && error.message.includes('within a transaction');
}

/**
 * Runs `fn` in a transaction: `BEGIN IMMEDIATE`, so that it never finds out halfway that another writer came first; inside
 * a transaction that is open already a savepoint, so that it commits and rolls back with what the application does.
 * @param fn synchronous: an `await` inside a transaction lets foreign statements on the same handle into it
 * @returns what `fn` returns
 * @throws {TransactionError} if `fn` returns a promise all the same; what it did until then is rolled back
 * @throws what `fn` throws, after rolling back
 */
export function inTransaction<T extends NotAPromise>(db: SqliteDatabase, fn: () => T): T {
  const isNestedHere = isInTransaction(db);
  db.exec(isNestedHere ? 'SAVEPOINT holdfast' : 'BEGIN IMMEDIATE');
  let result: T;
  try {
    result = fn();
    if (isThenable(result)) {
      // Nobody waits for it, so its failure must not end the process.
      Promise.resolve(result).catch(() => undefined);
      throw new TransactionError('expected a synchronous function in a transaction, got one that returns a promise');
    }
    db.exec(isNestedHere ? 'RELEASE holdfast' : 'COMMIT');
  } catch (error) {
    rollBack(db, isNestedHere);
    throw error;
  }
  return result;
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function rollBack(db: SqliteDatabase, isNestedHere: boolean): void {
  try {
    db.exec(isNestedHere ? 'ROLLBACK TO holdfast; RELEASE holdfast' : 'ROLLBACK');
  } catch {
    // SQLite rolls back by itself when the disk is full or broken; the error that is on its way says more than this one.
  }
}
