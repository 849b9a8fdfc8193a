import {
  type ClaimAnswer,
  type Clock,
  entryBytes,
  type IdempotencyClaim,
  type IdempotencyLimitOptions,
  IdempotencyLimits,
  type IdempotencyStore,
  IdempotencyStoreFullError,
  type IdempotencyUsage,
  systemClock,
} from '../router/index.ts';
import type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite.ts';
import { checkDatabase } from './sqlite.ts';

/** Options of {@link SqliteIdempotencyStore}: 1 000 000 entries, 1 GiB. */
export interface SqliteIdempotencyStoreOptions extends IdempotencyLimitOptions {
  /** Makes the instance of a new database. Default: the platform's. */
  clock?: Clock | undefined;
}

const DEFAULTS = { maxEntries: 1_000_000, maxBytes: 1024 * 1024 * 1024 };
/** What is forgotten in one transaction: other work waits no longer than for so many. */
const PRUNED_AT_ONCE = 1_000;

// `usage` adds up what is there, for each principal and, as '', for all: a count of the rows would take longer with each.
const SCHEMA = `
CREATE TABLE IF NOT EXISTS holdfast_idempotency_instance (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), instance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS holdfast_idempotency (
  id TEXT PRIMARY KEY, principal TEXT NOT NULL, request_hash TEXT NOT NULL, expires_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL, outcome BLOB);
CREATE INDEX IF NOT EXISTS holdfast_idempotency_expiry ON holdfast_idempotency (expires_at);
CREATE TABLE IF NOT EXISTS holdfast_idempotency_usage (
  principal TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS holdfast_idempotency_added AFTER INSERT ON holdfast_idempotency BEGIN
  INSERT INTO holdfast_idempotency_usage VALUES (NEW.principal, 1, NEW.bytes), ('', 1, NEW.bytes)
    ON CONFLICT (principal) DO UPDATE SET entries = entries + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER IF NOT EXISTS holdfast_idempotency_changed AFTER UPDATE OF bytes ON holdfast_idempotency BEGIN
  UPDATE holdfast_idempotency_usage SET bytes = bytes + NEW.bytes - OLD.bytes WHERE principal IN (OLD.principal, '');
END;
CREATE TRIGGER IF NOT EXISTS holdfast_idempotency_removed AFTER DELETE ON holdfast_idempotency BEGIN
  UPDATE holdfast_idempotency_usage SET entries = entries - 1, bytes = bytes - OLD.bytes
    WHERE principal IN (OLD.principal, '');
  DELETE FROM holdfast_idempotency_usage WHERE principal = OLD.principal AND entries = 0;
END;
`;

/** A column of a row, whichever of the three drivers made it. */
function column(row: unknown, name: string): unknown {
  return typeof row === 'object' && row !== null ? Reflect.get(row, name) : undefined;
}

/** @throws {TypeError} if somebody else wrote to the table */
function text(row: unknown, name: string): string {
  const value = column(row, name);
  if (typeof value !== 'string') throw new TypeError(`${name}: expected a text, got ${typeof value}`);
  return value;
}

/**
 * Outcomes in a SQLite database of the application's. What was claimed and what came of it survives the process; how much
 * of it survives a power failure is what the database was told (`PRAGMA synchronous`; in WAL mode only `FULL` waits for the
 * disk). Several servers may share one file: each then knows the outcomes of all, but joins its own runs only. The handle
 * must not be left in a transaction across an `await`. A file restored from a backup has forgotten calls that others know
 * were made: delete the row of `holdfast_idempotency_instance` then, and their repeats are answered `OUTCOME_UNKNOWN`.
 */
export class SqliteIdempotencyStore implements IdempotencyStore {
  readonly instance: string;
  readonly isDurable = true;
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;
  readonly #limits: IdempotencyLimits;
  readonly #find: SqliteStatement;
  readonly #usage: SqliteStatement;
  readonly #insert: SqliteStatement;
  readonly #update: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #expired: SqliteStatement;

  /**
   * Makes its tables, `holdfast_idempotency…`, if they are not there.
   * @throws {InvalidOptionsError}
   */
  constructor(db: SqliteDatabase, options: SqliteIdempotencyStoreOptions = {}) {
    const { clock = systemClock } = options;
    checkDatabase(db);
    this.#db = db;
    this.#clock = clock;
    this.#limits = new IdempotencyLimits(options, DEFAULTS);
    db.exec(SCHEMA);
    db.prepare('INSERT OR IGNORE INTO holdfast_idempotency_instance VALUES (1, ?)').run(clock.id() + clock.id());
    this.instance = text(db.prepare('SELECT instance FROM holdfast_idempotency_instance').get(), 'instance');
    this.#find = db.prepare(
      'SELECT principal, request_hash, expires_at, bytes, outcome FROM holdfast_idempotency WHERE id = ?',
    );
    this.#usage = db.prepare('SELECT entries, bytes FROM holdfast_idempotency_usage WHERE principal = ?');
    this.#insert = db.prepare('INSERT INTO holdfast_idempotency VALUES (?, ?, ?, ?, ?, NULL)');
    this.#update = db.prepare('UPDATE holdfast_idempotency SET expires_at = ?, bytes = ?, outcome = ? WHERE id = ?');
    this.#delete = db.prepare('DELETE FROM holdfast_idempotency WHERE id = ?');
    this.#expired = db.prepare('SELECT id FROM holdfast_idempotency WHERE expires_at <= ? LIMIT ?');
  }

  /** Calls it remembers. */
  get size(): number {
    return this.#usageOf('').entries;
  }

  /** What they take. */
  get bytes(): number {
    return this.#usageOf('').bytes;
  }

  claim(claim: IdempotencyClaim, now: number): ClaimAnswer {
    return this.#transaction(() => {
      const known = this.#find.get(claim.id) ?? undefined;
      if (known !== undefined && Number(column(known, 'expires_at')) > now)
        return { kind: 'known', requestHash: text(known, 'request_hash'), outcome: outcomeOf(known) };
      if (known !== undefined) this.#delete.run(claim.id);
      const message = this.#add(claim);
      return message === undefined ? { kind: 'claimed' } : { kind: 'full', message };
    });
  }

  /** @throws {IdempotencyStoreFullError} */
  settle(claim: IdempotencyClaim, outcome: Uint8Array): void {
    const exceeded = this.#transaction(() => {
      // It may have run for longer than claims are kept.
      const missing = (this.#find.get(claim.id) ?? undefined) === undefined ? this.#add(claim) : undefined;
      if (missing !== undefined) return missing;
      const row = this.#find.get(claim.id);
      if (text(row, 'request_hash') !== claim.requestHash) return undefined;
      const more = { entries: 0, bytes: outcome.length - (outcomeOf(row)?.length ?? 0) };
      const message = this.#limits.exceeded(this.#usageOf(''), this.#usageOf(claim.principal), more);
      const bytes = Number(column(row, 'bytes'));
      if (message === undefined) this.#update.run(claim.expiresAt, bytes + more.bytes, outcome, claim.id);
      else this.#update.run(claim.expiresAt, bytes, outcomeOf(row) ?? null, claim.id);
      return message;
    });
    if (exceeded !== undefined) throw new IdempotencyStoreFullError(exceeded);
  }

  async prune(now: number): Promise<number> {
    for (;;) {
      // Within one transaction: another process may write a fresh outcome under an id that has expired.
      const expired = this.#transaction(() => {
        const rows = this.#expired.all(now, PRUNED_AT_ONCE);
        for (const row of rows) this.#delete.run(text(row, 'id'));
        return rows;
      });
      if (expired.length < PRUNED_AT_ONCE) return this.size;
      await new Promise<void>((resolve) => this.#clock.afterIo(resolve));
    }
  }

  /** Returns why it cannot. */
  #add(claim: IdempotencyClaim): string | undefined {
    const { id, principal, requestHash, expiresAt } = claim;
    const more = { entries: 1, bytes: entryBytes(claim) };
    const exceeded = this.#limits.exceeded(this.#usageOf(''), this.#usageOf(principal), more);
    if (exceeded === undefined) this.#insert.run(id, principal, requestHash, expiresAt, more.bytes);
    return exceeded;
  }

  #usageOf(principal: string): IdempotencyUsage {
    const row = this.#usage.get(principal) ?? undefined;
    return { entries: Number(column(row, 'entries') ?? 0), bytes: Number(column(row, 'bytes') ?? 0) };
  }

  /** All or nothing, and nobody else writes meanwhile: another process waits for its turn, or fails by its busy timeout. */
  #transaction<T>(body: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      try {
        this.#db.exec('ROLLBACK');
      } catch {
        // SQLite has rolled back by itself, or the handle is closed: what went wrong first says more.
      }
      throw error;
    }
  }
}

function outcomeOf(row: unknown): Uint8Array | undefined {
  const value = column(row, 'outcome') as SqliteValue | ArrayBuffer | undefined; // what drivers return for a BLOB, or NULL
  if (value instanceof Uint8Array) return value;
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
