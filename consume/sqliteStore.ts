import type { SqliteDatabase, SqliteStatement, SqliteValue } from '../watch/sqlite.ts';
import { ConsumeOptionsError, nestedTransaction, StoreError } from './errors.ts';
import type { ConsumerRecord } from './record.ts';
import type { CheckpointStore, Claim, Lease } from './store.ts';
import { begin, refusePromise, rollBack } from './transaction.ts';

/** Records are JSON in one column: what is compared and selected by has a column of its own. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS holdfast_consumers (
    engine TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (engine, id)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holdfast_leases (engine TEXT PRIMARY KEY, lease TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holdfast_claims (
    scope TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, claim TEXT NOT NULL,
    PRIMARY KEY (scope, id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS holdfast_claims_at ON holdfast_claims (at);
`;

/**
 * Keeps everything in a SQLite database, in three tables whose names begin with `holdfast_`. The handle is the application's, opened and
 * closed by it; handlers get it as their transaction. Several processes may share the file: give their handles a
 * `busy_timeout`, or the one that comes second fails at once instead of waiting.
 */
export class SqliteCheckpointStore<D extends SqliteDatabase> implements CheckpointStore<D> {
  readonly #db: D;
  readonly #statements = new Map<string, SqliteStatement>();
  /** Transactions of this store on the stack. Nothing here awaits, so nobody else's can lie between them. */
  #depth = 0;

  constructor(db: D) {
    if (typeof db?.exec !== 'function' || typeof db.prepare !== 'function') {
      throw new ConsumeOptionsError('a database handle with exec() and prepare()', db);
    }
    this.#db = db;
    // One after another: not every driver runs more than the first of several statements inside a transaction.
    this.transaction(() => {
      for (const statement of SCHEMA.split(';').filter((text) => text.trim() !== '')) this.#exec(statement);
    });
  }

  transaction<T>(fn: (tx: D) => T, durability: 'shared' | 'own' = 'shared'): T {
    const isOutermost = this.#depth === 0 && this.#begin();
    if (!isOutermost && durability === 'own') throw nestedTransaction();
    if (!isOutermost) this.#exec('SAVEPOINT holdfast');
    this.#depth += 1;
    let result: T;
    try {
      result = refusePromise(fn(this.#db), 'what runs in a transaction');
      this.#exec(isOutermost ? 'COMMIT' : 'RELEASE holdfast');
    } catch (error) {
      if (isOutermost) rollBack(this.#db);
      else this.#exec('ROLLBACK TO holdfast', 'RELEASE holdfast');
      throw error;
    } finally {
      this.#depth -= 1;
    }
    return result;
  }

  list(engine: string): ConsumerRecord[] {
    const rows = this.#all('SELECT revision, record FROM holdfast_consumers WHERE engine = ? ORDER BY id', engine);
    return rows.map(recordOf);
  }

  load(engine: string, id: string): ConsumerRecord | undefined {
    const sql = 'SELECT revision, record FROM holdfast_consumers WHERE engine = ? AND id = ?';
    return this.#all(sql, engine, id).map(recordOf)[0];
  }

  save(engine: string, record: ConsumerRecord): boolean {
    // What a driver says of the number of changed rows differs; inside a transaction reading first is as good.
    return this.transaction(() => {
      if ((this.load(engine, record.id)?.revision ?? 0) !== record.revision) return false;
      this.#run(
        'INSERT OR REPLACE INTO holdfast_consumers (engine, id, revision, record) VALUES (?, ?, ?, ?)',
        ...[engine, record.id, record.revision + 1, JSON.stringify(record)],
      );
      return true;
    });
  }

  remove(engine: string, id: string): void {
    this.#run('DELETE FROM holdfast_consumers WHERE engine = ? AND id = ?', engine, id);
  }

  lease(engine: string): Lease | undefined {
    const row = this.#all('SELECT lease FROM holdfast_leases WHERE engine = ?', engine)[0];
    return row === undefined ? undefined : JSON.parse(String(column(row, 'lease')));
  }

  saveLease(engine: string, lease: Lease): void {
    this.#run('INSERT OR REPLACE INTO holdfast_leases (engine, lease) VALUES (?, ?)', engine, JSON.stringify(lease));
  }

  claim(scope: string, id: string): Claim | undefined {
    const row = this.#all('SELECT claim FROM holdfast_claims WHERE scope = ? AND id = ?', scope, id)[0];
    return row === undefined ? undefined : JSON.parse(String(column(row, 'claim')));
  }

  saveClaim(scope: string, id: string, claim: Claim): void {
    this.#run(
      'INSERT OR REPLACE INTO holdfast_claims (scope, id, at, claim) VALUES (?, ?, ?, ?)',
      ...[scope, id, Math.floor(claim.at), JSON.stringify(claim)],
    );
  }

  removeClaim(scope: string, id: string): void {
    this.#run('DELETE FROM holdfast_claims WHERE scope = ? AND id = ?', scope, id);
  }

  pruneClaims(at: number, scope: string | undefined): number {
    const where = scope === undefined ? 'WHERE at < ?' : 'WHERE at < ? AND scope = ?';
    const parameters = scope === undefined ? [Math.ceil(at)] : [Math.ceil(at), scope];
    return this.transaction(() => {
      const [row] = this.#all(`SELECT count(*) AS pruned FROM holdfast_claims ${where}`, ...parameters);
      this.#run(`DELETE FROM holdfast_claims ${where}`, ...parameters);
      return Number(column(row, 'pruned'));
    });
  }

  #begin(): boolean {
    return attempt('beginning a transaction', () => begin(this.#db));
  }

  #exec(...statements: string[]): void {
    for (const sql of statements) attempt(sql.trim().slice(0, 40), () => this.#db.exec(sql));
  }

  #run(sql: string, ...parameters: SqliteValue[]): void {
    attempt(sql.slice(0, 40), () => this.#prepared(sql).run(...parameters));
  }

  #all(sql: string, ...parameters: SqliteValue[]): unknown[] {
    // Not `get`: a statement that was not read to its end keeps its lock in some drivers.
    return attempt(sql.slice(0, 40), () => this.#prepared(sql).all(...parameters));
  }

  #prepared(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function attempt<T>(doing: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    throw new StoreError(doing, error);
  }
}

function recordOf(row: unknown): ConsumerRecord {
  return { ...JSON.parse(String(column(row, 'record'))), revision: Number(column(row, 'revision')) };
}

function column(row: unknown, name: string): unknown {
  return typeof row === 'object' && row !== null ? Reflect.get(row, name) : undefined;
}
