import { expect, test } from 'vitest';
import type { Consumer } from '../../consume/consumer.ts';
import { StoreError } from '../../consume/errors.ts';
import { once } from '../../consume/once.ts';
import { SqliteCheckpointStore } from '../../consume/sqliteStore.ts';
import type { SqliteDatabase, SqliteStatement } from '../../watch/sqlite.ts';
import { MemorySource } from './support/memorySource.ts';
import { effectsOn, openDatabase, Stage } from './support/stage.ts';

/** A real database whose n-th call fails: `before` it does anything, or `after` it has done it. */
class FailingDatabase implements SqliteDatabase {
  calls = 0;
  failAt = Number.POSITIVE_INFINITY;
  readonly #db: SqliteDatabase;
  readonly #when: 'before' | 'after';

  constructor(db: SqliteDatabase, when: 'before' | 'after') {
    this.#db = db;
    this.#when = when;
  }

  exec(sql: string): unknown {
    return this.#call(sql, () => this.#db.exec(sql));
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#db.prepare(sql);
    return {
      run: (...parameters) => this.#call(sql, () => statement.run(...parameters)),
      get: (...parameters) => this.#call(sql, () => statement.get(...parameters)),
      all: (...parameters) => this.#call(sql, () => statement.all(...parameters)),
    };
  }

  #call<T>(sql: string, call: () => T): T {
    this.calls += 1;
    const fails = this.calls === this.failAt;
    // No SQLite says that a transaction could not be begun after it was.
    const isDone = this.#when === 'after' && !sql.startsWith('BEGIN');
    if (fails && !isDone) throw new Error(`the disk failed before ${sql}`);
    const result = call();
    if (fails) throw new Error(`the disk failed after ${sql}`);
    return result;
  }
}

/** A scenario with everything in it: what a database does in it, and whether everything has happened once. */
async function scenario(when: 'before' | 'after', failAt: number): Promise<number> {
  await using stage = new Stage();
  const real = openDatabase(':memory:');
  const { effects } = effectsOn(real);
  const store = new SqliteCheckpointStore(real);
  const db = new FailingDatabase(real, when);
  const failing = new SqliteCheckpointStore(db);
  db.calls = 0;
  db.failAt = failAt;
  const source = new MemorySource<number>();
  let mailed = 0;
  const consumers: Consumer<number, SqliteDatabase>[] = [
    { id: 'a', handle: (event, _position, tx) => effectsOn(tx).effect(`a${event}`) },
    {
      id: 'ledger',
      handle: (event, _position, tx) => void once(failing, 's', `${event}`, () => effectsOn(tx).effect(`l${event}`)),
    },
    {
      id: 'mail',
      effects: 'at-least-once',
      handle: () => {
        mailed += 1;
      },
    },
  ];
  source.append(1, 2);
  const engine = stage.engine({ source, store: failing, consumers, batchSize: 2 });
  const steps = [() => engine.boot(), () => engine.pause('a'), () => engine.reactivate('a'), () => engine.run()];
  for (const [n, step] of steps.entries()) {
    if (n === 3) source.append(3, 4, 5);
    try {
      await step();
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      // The position that is in the store is what has happened, at every moment.
      const position = store.load('default', 'a')?.position?.offset ?? 0;
      expect(effects().filter((text) => text.startsWith('a'))).toHaveLength(position);
      await step();
    }
  }
  // Whether the failure was one of the handler's own statements or of the store's: it is tried again.
  for (let tries = 0; tries < 3; tries++) {
    await stage.advance(60_000);
    await engine.run().catch((error) => expect(error).toBeInstanceOf(StoreError));
  }
  expect(store.list('default').map(({ id, status, position }) => [id, status, position?.offset])).toEqual([
    ['a', 'active', 5],
    ['ledger', 'active', 5],
    ['mail', 'active', 5],
  ]);
  expect(effects().filter((text) => text.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
  expect(effects().filter((text) => text.startsWith('l'))).toEqual(['l1', 'l2', 'l3', 'l4', 'l5']);
  expect(mailed).toBeGreaterThanOrEqual(5);
  expect(mailed).toBeLessThanOrEqual(6);
  return db.calls;
}

test.each(['before', 'after'] as const)(
  'whichever call of the database fails, %s it was done, every effect happens once',
  async (when) => {
    const calls = await scenario(when, Number.POSITIVE_INFINITY);
    expect(calls).toBeGreaterThan(100);
    for (let n = 1; n <= calls; n++) {
      await scenario(when, n).catch((error) => {
        throw new Error(`with call ${n} failing ${when}: ${error.message}`, { cause: error });
      });
    }
  },
  60_000,
);

test('a follower goes on by itself after the store failed, with longer and longer waits', async () => {
  await using stage = new Stage();
  const real = openDatabase(':memory:');
  const db = new FailingDatabase(real, 'before');
  const store = new SqliteCheckpointStore(db);
  const source = new MemorySource<number>();
  const engine = stage.engine({
    source,
    store,
    consumers: [{ id: 'a', handle: (event, _position, tx) => effectsOn(tx).effect(`${event}`) }],
  });
  await engine.boot();
  engine.follow();
  await stage.advance(1);
  const { exec } = db;
  db.exec = () => {
    throw new Error('no disk');
  };
  source.append(1);
  await stage.advance(60_000);
  const failures = stage.faults.filter(({ kind }) => kind === 'run').length;
  expect(failures).toBeGreaterThan(4);
  expect(failures).toBeLessThan(10);
  db.exec = exec;
  await stage.advance(60_000);
  expect(effectsOn(real).effects()).toEqual(['1']);
});
