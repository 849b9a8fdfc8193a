import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { inTransaction, isInTransaction, type SqliteDatabase } from '../../watch/sqlite.ts';
import { databaseStores, temporaryFolder } from './support/stores.ts';

describe.each(databaseStores)('a transaction on $name', ({ open }) => {
  function setup() {
    const { db, close } = open();
    if (db === undefined) throw new Error('expected a database');
    db.exec('CREATE TABLE t (n INTEGER)');
    const add = (n: number) => db.prepare('INSERT INTO t (n) VALUES (?)').run(n);
    const rows = () =>
      db
        .prepare('SELECT n FROM t ORDER BY n')
        .all()
        .map((row) => (row as { n: number }).n); // its column
    return { db, add, rows, close };
  }

  test('commits what was done and returns what was returned', () => {
    const { db, add, rows, close } = setup();
    const result = inTransaction(db, () => {
      expect(isInTransaction(db)).toBe(true);
      add(1);
      return 'done';
    });
    expect([result, isInTransaction(db), rows()]).toEqual(['done', false, [1]]);
    close();
  });

  test('rolls back what threw, and inside another only its own part', () => {
    const { db, add, rows, close } = setup();
    const fail = (n: number) =>
      inTransaction(db, () => {
        add(n);
        throw new Error('no');
      });
    expect(() => fail(1)).toThrow('no');
    expect(isInTransaction(db)).toBe(false);
    inTransaction(db, () => {
      add(2);
      expect(() => fail(3)).toThrow('no');
      inTransaction(db, () => void add(4));
    });
    expect(rows()).toEqual([2, 4]);
    close();
  });

  test('refuses a promise and rolls back', async () => {
    const { db, add, rows, close } = setup();
    const asynchronous = async () => {
      add(1);
      throw new Error('nobody waits for this');
    };
    // @ts-expect-error a promise is an error of types, too
    expect(() => inTransaction(db, asynchronous)).toThrow('expected a synchronous function');
    await new Promise((resolve) => setImmediate(resolve));
    expect([isInTransaction(db), rows()]).toEqual([false, []]);
    close();
  });
});

test('has the database for writing from its beginning, or does not begin', () => {
  const folder = temporaryFolder();
  const [db, other] = [new Database(`${folder.path}/a.db`), new Database(`${folder.path}/a.db`)];
  other.exec('BEGIN IMMEDIATE');
  let hasBegun = false;
  const begin = () =>
    inTransaction(db, () => {
      hasBegun = true;
    });
  expect(begin).toThrow('database is locked');
  expect([hasBegun, isInTransaction(db)]).toEqual([false, false]);
  other.exec('ROLLBACK');
  begin();
  expect(hasBegun).toBe(true);
  for (const handle of [db, other]) handle.close();
  folder.remove();
});

test('an error of the disk is not hidden by a rollback that SQLite has done already', () => {
  const db = new Database(':memory:');
  const broken: SqliteDatabase = {
    prepare: (sql) => db.prepare(sql),
    exec(sql) {
      if (sql !== 'COMMIT') return db.exec(sql);
      db.exec('ROLLBACK');
      throw new Error('disk I/O error');
    },
  };
  expect(() => inTransaction(broken, () => 1)).toThrow('disk I/O error');
  db.close();
});
