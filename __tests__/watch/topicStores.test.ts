import { Type } from '@sinclair/typebox';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { inTransaction, type SqliteDatabase } from '../../watch/sqlite.ts';
import { SqliteTopicStore } from '../../watch/sqliteStore.ts';
import { createTopic } from '../../watch/topic.ts';
import { quietClock } from './support/clock.ts';
import { databaseStores, type OpenStore, stores, temporaryFolder } from './support/stores.ts';

const all = {
  events: Number.POSITIVE_INFINITY,
  ageMs: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
};
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => ({ n: from + i }));
const eventsOf = (store: OpenStore['store'], after: number, limit = 1000) =>
  store.read(after, limit).map(({ position, event }) => [position.offset, event]);

describe.each(stores)('a topic store: $name', ({ open }) => {
  test('gives every event the next offset of one epoch, and reads them back in order', () => {
    const { store, close } = open();
    const { epoch } = store.extent();
    expect(epoch).not.toBe('');
    expect(store.extent()).toEqual({ epoch, floor: 0, head: 0 });
    expect(store.append(numbers(1, 3), 0, all)).toEqual({ epoch, offset: 3 });
    expect(store.append(numbers(4, 4), 0, all)).toEqual({ epoch, offset: 4 });
    expect(store.read(1, 2)).toEqual([
      { position: { epoch, offset: 2 }, event: { n: 2 } },
      { position: { epoch, offset: 3 }, event: { n: 3 } },
    ]);
    expect(store.read(4, 2)).toEqual([]);
    expect(store.extent()).toEqual({ epoch, floor: 0, head: 4 });
    close();
  });

  test('keeps the newest events, and counts on when none is left', () => {
    const { store, close } = open();
    store.append(numbers(1, 5000), 0, { ...all, events: 3 });
    expect(store.extent()).toMatchObject({ floor: 4997, head: 5000 });
    expect(eventsOf(store, 4997)).toEqual([
      [4998, { n: 4998 }],
      [4999, { n: 4999 }],
      [5000, { n: 5000 }],
    ]);
    store.append(numbers(5001, 5001), 1000, { ...all, ageMs: 100 });
    expect(store.extent()).toMatchObject({ floor: 5000, head: 5001 });
    store.append(numbers(5002, 5003), 1050, { ...all, ageMs: 100 });
    expect(eventsOf(store, 5000, 2)).toEqual([
      [5001, { n: 5001 }],
      [5002, { n: 5002 }],
    ]);
    store.append(numbers(5004, 5004), 1120, { ...all, ageMs: 100 });
    expect(store.extent()).toMatchObject({ floor: 5001, head: 5004 });
    store.trim(1200, { ...all, ageMs: 100 });
    expect([store.extent(), eventsOf(store, 5003)]).toMatchObject([{ floor: 5003, head: 5004 }, [[5004, { n: 5004 }]]]);
    store.trim(9000, { ...all, ageMs: 100 });
    expect([store.extent(), eventsOf(store, 5004)]).toMatchObject([{ floor: 5004, head: 5004 }, []]);
    close();
  });

  test('gives back what JSON lacks, and data that looks like it', () => {
    const { store, close } = open();
    const event = {
      bytes: new Uint8Array([0, 1, 255]),
      big: 2n ** 70n,
      nested: [{ minus: -5n }, null, 'text', 1.5, true],
      lookAlikes: [{ $t: 'AAA=' }, { $b: '5' }, { $$b: '5' }, { $b: '5', more: 1 }, { $: 0 }],
      ['__proto__']: { polluted: true },
    };
    store.append([event], 0, all);
    const [read] = store.read(0, 1);
    expect(read?.event).toEqual(event);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    close();
  });
});

test.each(['inside a transaction', 'outside of one'])(
  'what was published %s while another process keeps the database to itself is told when it is over, and does not fail',
  async (where) => {
    const folder = temporaryFolder();
    const [own, other] = [new Database(`${folder.path}/a.db`), new Database(`${folder.path}/a.db`)];
    let isOtherDue = false;
    // Comes right after our commit.
    const db: SqliteDatabase = {
      prepare: (sql) => own.prepare(sql),
      exec(sql) {
        own.exec(sql);
        if (sql !== 'COMMIT' || !isOtherDue) return;
        isOtherDue = false;
        other.exec('BEGIN EXCLUSIVE');
      },
    };
    const clock = quietClock();
    const topic = createTopic({
      event: Type.Object({ n: Type.Number() }),
      store: new SqliteTopicStore(db, { name: 'a' }),
      clock,
    });
    let told = 0;
    topic.onAppend(() => {
      told += 1;
    });
    isOtherDue = true;
    const publish = () => topic.publish({ n: 1 });
    const { offset } = where === 'outside of one' ? publish() : inTransaction(db, publish);
    expect([offset, told]).toEqual([1, 0]);
    await clock.advance(1_000);
    expect(told).toBe(0);
    other.exec('ROLLBACK');
    await clock.advance(2_000);
    expect([told, topic.head().offset, clock.pendingTimers]).toEqual([1, 1, 0]);
    isOtherDue = true;
    publish();
    await clock.advance(10);
    expect(clock.pendingTimers).toBe(1);
    topic.close();
    expect(clock.pendingTimers).toBe(0);
    other.exec('ROLLBACK');
    for (const handle of [own, other]) handle.close();
    folder.remove();
  },
);

describe.each(databaseStores)('a topic in a database: $name', ({ open }) => {
  const Event = Type.Object({ n: Type.Number() });

  function setup() {
    const opened = open();
    const { db } = opened;
    if (db === undefined) throw new Error('expected a database');
    const clock = quietClock();
    const topic = createTopic({ event: Event, store: opened.store, clock });
    let told = 0;
    topic.onAppend(() => {
      told += 1;
    });
    return { ...opened, db, clock, topic, told: () => told };
  }

  test('goes on after it was opened again: the same epoch, the next offset', () => {
    const first = open();
    first.store.append(numbers(1, 4), 0, { ...all, events: 2 });
    const before = first.store.extent();
    const second = first.reopen?.();
    if (second === undefined) return first.close(); // a database in memory ends with its handle
    expect(second.store.extent()).toEqual(before);
    expect(eventsOf(second.store, 2)).toEqual([
      [3, { n: 3 }],
      [4, { n: 4 }],
    ]);
    expect(second.store.append(numbers(5, 5), 0, all).offset).toBe(5);
    second.close();
  });

  test('joins the transaction that the application has open: nobody hears of it before the commit', async () => {
    const { db, topic, told, clock, close } = setup();
    db.exec('CREATE TABLE orders (n INTEGER)');
    db.exec('BEGIN');
    db.prepare('INSERT INTO orders (n) VALUES (?)').run(1);
    const position = topic.publish({ n: 1 });
    expect(position.offset).toBe(1);
    const reached = topic.reached(position);
    await clock.advance(100);
    expect(told()).toBe(0);
    expect(topic.head().offset).toBe(0);
    expect(topic.read(undefined, 10)).toEqual({ kind: 'events', events: [] });
    db.exec('COMMIT');
    await clock.advance(10);
    await reached;
    expect(told()).toBe(1);
    expect(topic.head().offset).toBe(1);
    expect(topic.read(undefined, 10)).toMatchObject({ events: [{ event: { n: 1 } }] });
    expect(clock.pendingTimers).toBe(0);
    topic.close();
    close();
  });

  test('what a transaction would push out of the history can be read until it commits, and is dropped then', async () => {
    const { db, store, clock, close } = setup();
    const topic = createTopic({ event: Event, store, keep: { events: 2 }, clock });
    topic.publishAll(numbers(1, 2));
    const position = { ...topic.head(), offset: 0 };
    for (const end of ['ROLLBACK', 'COMMIT']) {
      db.exec('BEGIN');
      topic.publishAll(numbers(3, 6));
      expect(topic.read(position, 10)).toMatchObject({
        kind: 'events',
        events: [{ event: { n: 1 } }, { event: { n: 2 } }],
      });
      db.exec(end);
      await clock.advance(10);
    }
    expect(topic.read(position, 10)).toMatchObject({ kind: 'gap', oldest: { offset: 4 }, head: { offset: 6 } });
    expect(eventsOf(store, 0)).toHaveLength(2);
    topic.close();
    close();
  });

  test('a handle that is closed under the topic ends nobody', async () => {
    const { db, topic, clock, close } = setup();
    inTransaction(db, () => topic.publish({ n: 1 }));
    close();
    await clock.advance(100);
    expect(() => topic.publish({ n: 2 })).toThrow();
    expect(clock.pendingTimers).toBe(0);
    topic.close();
  });

  test('forgets with a rollback, and nobody ever hears of it', async () => {
    const { db, topic, told, clock, close } = setup();
    topic.publish({ n: 0 });
    db.exec('BEGIN');
    topic.publish({ n: 1 });
    topic.publish({ n: 2 });
    db.exec('ROLLBACK');
    await clock.advance(10);
    expect(told()).toBe(1);
    expect(topic.head().offset).toBe(1);
    expect(topic.publish({ n: 3 }).offset).toBe(2);
    expect(topic.read({ ...topic.head(), offset: 1 }, 10)).toMatchObject({ events: [{ event: { n: 3 } }] });
    expect(told()).toBe(2);
    topic.close();
    close();
  });

  test('an event that cannot be stored takes the others of its batch with it, and not what the application did', () => {
    const { db, topic, close } = setup();
    const bad = { n: 2, when: new Date(0) };
    db.exec('CREATE TABLE orders (n INTEGER)');
    inTransaction(db, () => {
      db.prepare('INSERT INTO orders (n) VALUES (?)').run(1);
      expect(() => topic.publishAll([{ n: 1 }, bad])).toThrow('at /when, got an instance of Date');
    });
    expect(topic.head().offset).toBe(0);
    expect(db.prepare('SELECT count(*) AS count FROM orders').get()).toMatchObject({ count: 1 });
    topic.close();
    close();
  });

  test('several topics live in one database by name', () => {
    const { db, store, close } = open();
    if (db === undefined) throw new Error('expected a database');
    const other = new SqliteTopicStore(db, { name: 'b' });
    store.append(numbers(1, 2), 0, all);
    other.append(numbers(7, 7), 0, { ...all, events: 1 });
    other.append(numbers(8, 8), 0, { ...all, events: 1 });
    expect(eventsOf(store, 0)).toHaveLength(2);
    expect(eventsOf(other, 1)).toEqual([[2, { n: 8 }]]);
    expect(other.extent().epoch).not.toBe(store.extent().epoch);
    const names = ['a', 'A', 'a ', 'a\0', 'a\0b', 'é', 'e\u0301', "'", '"', '%', '\u{1f600}'];
    const epochs = names.map((name) => new SqliteTopicStore(db, { name }).extent().epoch);
    expect(new Set(epochs).size).toBe(names.length);
    close();
  });

  test('a history that was begun anew has another epoch and no events', () => {
    const { db, store, close } = open();
    if (db === undefined) throw new Error('expected a database');
    store.append(numbers(1, 2), 0, all);
    const { epoch } = store.extent();
    new SqliteTopicStore(db, { name: 'a' }).beginNewHistory();
    expect(store.extent()).toMatchObject({ floor: 0, head: 0 });
    expect(store.extent().epoch).not.toBe(epoch);
    expect(eventsOf(store, 0)).toEqual([]);
    close();
  });
});

test('a store says what is wrong with its name or its handle', () => {
  const db = new Database(':memory:');
  expect(() => new SqliteTopicStore(db, { name: '' })).toThrow("expected a topic's name of 1 to 200 characters, got ");
  const lone = { name: 'a\ud800' };
  expect(() => new SqliteTopicStore(db, lone)).toThrow(
    'expected a topic\'s name without lone surrogates, got "a\\ud800"',
  );
  db.exec('BEGIN');
  expect(() => new SqliteTopicStore(db, { name: 'a' })).toThrow('expected a handle without an open transaction');
  db.exec('ROLLBACK');
  const store = new SqliteTopicStore(db, { name: 'a' });
  db.exec('DELETE FROM holdfast_topics');
  expect(() => store.extent()).toThrow('topic a is gone');
  db.close();
});

test.each<[unknown, string]>([
  [Number.NaN, 'at /, got NaN'],
  [{ a: [1, undefined] }, 'at /a/1, got undefined'],
  [{ a: new Map() }, 'at /a, got an instance of Map'],
  [{ a: () => 1 }, 'at /a, got function'],
])('text cannot hold %j, and says so', (event, message) => {
  const db = new Database(':memory:');
  const store = new SqliteTopicStore(db, { name: 'a' });
  expect(() => store.append([event], 0, all)).toThrow(message);
  expect(store.extent().head).toBe(0);
  db.close();
});
