import { describe, expect, test } from 'vitest';
import { AsyncEffectError, ConsumeOptionsError, StoreError } from '../../consume/errors.ts';
import { discovered } from '../../consume/record.ts';
import { SqliteCheckpointStore } from '../../consume/sqliteStore.ts';
import type { Claim } from '../../consume/store.ts';
import { inTransaction } from '../../watch/sqlite.ts';
import { effectsOn, openDatabase, storeCases } from './support/stage.ts';

const claim = (at: number): Claim => ({ state: 'done', result: '{"a":1}', owner: 'me', at, expiresAt: undefined });

describe.each(storeCases)('a store: $name', ({ open }) => {
  test('a record comes back as it was saved, with its revision raised', () => {
    using under = open();
    const position = { epoch: 'e1', offset: 2 ** 52 };
    const record = { ...discovered('a'), position, error: undefined, gaps: 3 };
    expect(under.store.save('x', record)).toBe(true);
    expect(under.reopened().load('x', 'a')).toEqual({ ...record, revision: 1 });
  });

  test('saving is compare-and-set: of two with the same revision the second is refused and changes nothing', () => {
    using under = open();
    under.store.save('x', discovered('a'));
    const seen = under.store.load('x', 'a') ?? discovered('none');
    expect(under.store.save('x', { ...seen, attempt: 1 })).toBe(true);
    const other = under.reopened();
    expect(other.save('x', { ...seen, attempt: 2 })).toBe(false);
    expect(other.save('x', discovered('a'))).toBe(false);
    expect(other.save('x', { ...discovered('b'), revision: 1 })).toBe(false);
    expect(other.load('x', 'a')).toMatchObject({ attempt: 1, revision: 2 });
    expect(other.load('x', 'b')).toBeUndefined();
  });

  test('records are listed by id, each engine has its own, and a removed one is gone', () => {
    using under = open();
    for (const id of ['b', 'a', '__proto__']) under.store.save('x', discovered(id));
    under.store.save('y', discovered('c'));
    under.store.remove('x', 'b');
    under.store.remove('x', 'never there');
    const store = under.reopened();
    expect(store.list('x').map(({ id }) => id)).toEqual(['__proto__', 'a']);
    expect(store.list('y').map(({ id }) => id)).toEqual(['c']);
    expect(store.list('z')).toEqual([]);
  });

  test('a transaction that throws leaves nothing: neither records, leases and claims nor effects', () => {
    using under = open();
    under.store.save('x', discovered('a'));
    under.store.saveClaim('s', 'kept', claim(1));
    const before = under.store.list('x');
    expect(() =>
      under.store.transaction(() => {
        under.store.save('x', discovered('b'));
        under.store.save('x', { ...discovered('a'), revision: 1, attempt: 9 });
        under.store.remove('x', 'a');
        under.store.saveLease('x', { owner: 'me', fence: 1, renewedAt: 1, ttlMs: 1 });
        under.store.saveClaim('s', '1', claim(5));
        under.store.removeClaim('s', 'kept');
        under.store.pruneClaims(100, undefined);
        under.effect('lost');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(under.effects()).toEqual([]);
    const store = under.reopened();
    expect(store.list('x')).toEqual(before);
    expect(store.lease('x')).toBeUndefined();
    expect(store.claim('s', '1')).toBeUndefined();
    expect(store.claim('s', 'kept')).toEqual(claim(1));
    expect(under.effects()).toEqual([]);
  });

  test('of an inner transaction that throws nothing is left, and of the outer one everything', () => {
    using under = open();
    under.store.transaction(() => {
      under.effect('before');
      expect(() =>
        under.store.transaction(() => {
          under.effect('inner');
          under.store.save('x', discovered('inner'));
          throw new Error('no');
        }),
      ).toThrow('no');
      under.store.transaction(() => under.effect('after'));
    });
    expect(under.effects()).toEqual(['before', 'after']);
    expect(under.reopened().list('x')).toEqual([]);
    expect(under.effects()).toEqual(['before', 'after']);
  });

  test('a promise is refused, inside and outside, and what was done before it is rolled back', async () => {
    using under = open();
    const effect = async () => {
      under.effect('lost');
      throw new Error('nobody hears of this');
    };
    expect(() => under.store.transaction(effect)).toThrow(AsyncEffectError);
    under.store.transaction(() => {
      expect(() => under.store.transaction(effect)).toThrow(AsyncEffectError);
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(under.effects()).toEqual([]);
  });

  test('what must be durable when it returns is refused inside a transaction', () => {
    using under = open();
    under.store.transaction(() => {
      expect(() => under.store.transaction(() => undefined, 'own')).toThrow(StoreError);
    });
    expect(under.store.transaction(() => 1, 'own')).toBe(1);
  });

  test('a lease and a claim come back as they were saved', () => {
    using under = open();
    const lease = { owner: 'me', fence: 7, renewedAt: 1_700_000_000_000.5, ttlMs: 10 };
    under.store.saveLease('x', { ...lease, fence: 6 });
    under.store.saveLease('x', lease);
    under.store.saveClaim('s', '1', { ...claim(3), state: 'started', result: undefined, expiresAt: 9 });
    under.store.saveClaim('s', '2', claim(4));
    under.store.removeClaim('s', '2');
    const store = under.reopened();
    expect(store.lease('x')).toEqual(lease);
    expect(store.lease('y')).toBeUndefined();
    expect(store.claim('s', '1')).toMatchObject({ state: 'started', owner: 'me', expiresAt: 9 });
    expect(store.claim('s', '2')).toBeUndefined();
    expect(store.claim('t', '1')).toBeUndefined();
  });

  test('claims are pruned by age, of one scope or of all', () => {
    using under = open();
    for (const at of [10, 20, 30]) {
      under.store.saveClaim('s', String(at), claim(at));
      under.store.saveClaim('t', String(at), claim(at));
    }
    expect(under.store.pruneClaims(20, 's')).toBe(1);
    expect(under.store.claim('t', '10')).toBeDefined();
    expect(under.store.pruneClaims(30, undefined)).toBe(3);
    const store = under.reopened();
    expect(['10', '20', '30'].map((id) => store.claim('t', id)?.at)).toEqual([undefined, undefined, 30]);
    expect(store.pruneClaims(30, undefined)).toBe(0);
  });
});

describe('SQLite', () => {
  test('a store joins a transaction that the application has open, and is undone with it', () => {
    const db = openDatabase(':memory:');
    const store = new SqliteCheckpointStore(db);
    expect(() =>
      inTransaction(db, () => {
        store.save('x', discovered('a'));
        inTransaction(db, () => effectsOn(db).effect('inner'));
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(store.list('x')).toEqual([]);
    expect(effectsOn(db).effects()).toEqual([]);
    db.close();
  });

  test('what is no database handle is refused, and a closed one is a store error', () => {
    // @ts-expect-error as a caller without types would
    expect(() => new SqliteCheckpointStore({})).toThrow(ConsumeOptionsError);
    const db = openDatabase(':memory:');
    const store = new SqliteCheckpointStore(db);
    db.close();
    expect(() => store.list('x')).toThrow(StoreError);
  });
});
