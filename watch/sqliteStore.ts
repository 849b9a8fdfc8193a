import { type Clock, systemClock } from '../router/index.ts';
import { InvalidArgumentError, TransactionError } from './errors.ts';
import { fromEventText, toEventText } from './eventText.ts';
import type { Position } from './position.ts';
import type { Positioned } from './source.ts';
import { checkDatabase, inTransaction, isInTransaction, type SqliteDatabase, type SqliteStatement } from './sqlite.ts';
import type { Extent, SettledKeep, TopicStore } from './store.ts';

/** Options of {@link SqliteTopicStore}. */
export interface SqliteTopicStoreOptions {
  /** Which topic of the database this is; 1 to 200 characters. */
  name: string;
  clock?: Clock | undefined;
}

interface ExtentRow {
  readonly epoch: string;
  readonly floor: number | bigint;
  readonly head: number | bigint;
}

interface EventRow {
  readonly offset: number | bigint;
  readonly event: string;
}

const MAX_NAME = 200;

const TABLES = `
CREATE TABLE IF NOT EXISTS holdfast_topics (
  name TEXT NOT NULL PRIMARY KEY, epoch TEXT NOT NULL, floor INTEGER NOT NULL, head INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holdfast_events (
  topic TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (topic, offset)
) WITHOUT ROWID`;

/**
 * A history in SQLite, over the application's handle: epoch and offsets survive a restart. Events are stored as JSON text
 * (eventText.ts says what becomes of what JSON lacks). What is published while the application has a transaction open on
 * the handle is part of it. How durable a commit is, is the database's affair (`PRAGMA synchronous`).
 */
export class SqliteTopicStore implements TopicStore {
  readonly #db: SqliteDatabase;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #selectExtent: SqliteStatement;
  readonly #updateExtent: SqliteStatement;
  readonly #insert: SqliteStatement;
  readonly #select: SqliteStatement;
  readonly #selectFresh: SqliteStatement;
  readonly #dropUpTo: SqliteStatement;

  /**
   * @throws {InvalidArgumentError} for a name that is none
   * @throws {TransactionError} inside a transaction: were it rolled back, the tables would be gone
   */
  constructor(db: SqliteDatabase, { name, clock = systemClock }: SqliteTopicStoreOptions) {
    checkDatabase(db);
    if (typeof name !== 'string' || name.length === 0 || name.length > MAX_NAME)
      throw new InvalidArgumentError(`expected a topic's name of 1 to ${MAX_NAME} characters, got ${String(name)}`);
    // The database makes the same of them all: two topics would be one.
    if (/\p{Surrogate}/u.test(name))
      throw new InvalidArgumentError(`expected a topic's name without lone surrogates, got ${JSON.stringify(name)}`);
    if (isInTransaction(db))
      throw new TransactionError('expected a handle without an open transaction to open a topic on, got one inside');
    this.#db = db;
    this.#name = name;
    this.#clock = clock;
    inTransaction(db, () => {
      db.exec(TABLES);
      const isNew = 'INSERT INTO holdfast_topics (name, epoch, floor, head) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING';
      db.prepare(isNew).run(name, clock.id());
    });
    this.#selectExtent = db.prepare('SELECT epoch, floor, head FROM holdfast_topics WHERE name = ?');
    this.#updateExtent = db.prepare('UPDATE holdfast_topics SET floor = ?, head = ? WHERE name = ?');
    this.#insert = db.prepare('INSERT INTO holdfast_events (topic, offset, at, event) VALUES (?, ?, ?, ?)');
    this.#select = db.prepare(
      'SELECT offset, event FROM holdfast_events WHERE topic = ? AND offset > ? ORDER BY offset LIMIT ?',
    );
    this.#selectFresh = db.prepare(
      'SELECT offset, event FROM holdfast_events WHERE topic = ? AND at >= ? ORDER BY offset LIMIT 1',
    );
    this.#dropUpTo = db.prepare('DELETE FROM holdfast_events WHERE topic = ? AND offset <= ?');
  }

  extent(): Extent {
    // The cast: the columns that the statement names, of a row that the constructor made.
    const row = this.#selectExtent.get(this.#name) as ExtentRow | null | undefined;
    if (row === undefined || row === null)
      throw new TransactionError(`topic ${this.#name} is gone: its row was deleted from holdfast_topics`);
    return { epoch: row.epoch, floor: Number(row.floor), head: Number(row.head) };
  }

  append(events: readonly unknown[], at: number, keep: SettledKeep): Position {
    const texts = events.map(toEventText);
    const isOurs = !isInTransaction(this.#db);
    return inTransaction(this.#db, () => {
      const { epoch, floor, head } = this.extent();
      let offset = head;
      for (const text of texts) {
        offset += 1;
        this.#insert.run(this.#name, offset, Math.floor(at), text);
      }
      this.#updateExtent.run(isOurs ? this.#drop(floor, offset, at, keep) : floor, offset, this.#name);
      return { epoch, offset };
    });
  }

  trim(at: number, keep: SettledKeep): void {
    const { floor, head } = this.extent();
    if (Math.max(head - keep.events, this.#expired(at - keep.ageMs, head)) <= floor) return;
    inTransaction(this.#db, () => {
      const now = this.extent();
      this.#updateExtent.run(this.#drop(now.floor, now.head, at, keep), now.head, this.#name);
    });
  }

  read(after: number, limit: number): readonly Positioned<unknown>[] {
    const { epoch } = this.extent();
    // The cast: the columns that the statement names.
    const rows = this.#select.all(this.#name, after, limit) as EventRow[];
    return rows.map(({ offset, event }) => ({
      position: { epoch, offset: Number(offset) },
      event: fromEventText(event),
    }));
  }

  isUnsettled(): boolean {
    return isInTransaction(this.#db);
  }

  /**
   * Begins another history under the same name, with another epoch: for a database that was restored from a backup, which
   * nobody can tell from the one that went on. Everybody who follows the topic learns that there is a gap.
   * @throws {TransactionError} inside a transaction: until it is over neither history could be read
   */
  beginNewHistory(): void {
    if (isInTransaction(this.#db))
      throw new TransactionError('expected a handle without an open transaction to begin a history on, got one inside');
    inTransaction(this.#db, () => {
      this.#dropUpTo.run(this.#name, this.extent().head);
      const fresh = this.#db.prepare('UPDATE holdfast_topics SET epoch = ?, floor = 0, head = 0 WHERE name = ?');
      fresh.run(this.#clock.id(), this.#name);
    });
  }

  /** @returns the new floor */
  #drop(floor: number, head: number, at: number, keep: SettledKeep): number {
    const newFloor = Math.max(floor, head - keep.events, this.#expired(at - keep.ageMs, head));
    if (newFloor > floor) this.#dropUpTo.run(this.#name, newFloor);
    return newFloor;
  }

  /** The offset of the last event that is too old. */
  #expired(since: number, head: number): number {
    if (since === Number.NEGATIVE_INFINITY) return 0;
    const row = this.#selectFresh.get(this.#name, since) as EventRow | null | undefined; // the columns it names
    return row === undefined || row === null ? head : Number(row.offset) - 1;
  }
}
