import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, describe, expect, test } from 'vitest';
import type { IdempotencyLimitOptions } from '../../router/idempotencyLimits.ts';
import type { IdempotencyClaim, IdempotencyStore } from '../../router/idempotencyStore.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Random } from '../../testUtil/sim/engine/random.ts';
import type { SqliteDatabase } from '../../watch/sqlite.ts';
import { SqliteIdempotencyStore } from '../../watch/sqliteIdempotencyStore.ts';

type Store = IdempotencyStore & { readonly size: number; readonly bytes: number };

const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-idempotency-'));
  endings.push(() => rmSync(folder, { recursive: true }));
  return join(folder, 'outcomes.db');
}

function open(file: string): SqliteDatabase {
  const db: Database.Database = new Database(file);
  db.exec('PRAGMA synchronous = OFF'); // what survives what is shown by killed.test.ts
  endings.unshift(() => db.close());
  return db;
}

const stores: { name: string; make: (limits?: IdempotencyLimitOptions) => Store }[] = [
  { name: 'memory', make: (limits) => new MemoryIdempotencyStore(limits) },
  { name: 'SQLite on disk', make: (limits) => new SqliteIdempotencyStore(open(temporaryFile()), limits) },
];

const call = (id: string, fields: Partial<IdempotencyClaim> = {}): IdempotencyClaim => ({
  id,
  principal: 'ann',
  requestHash: 'hash',
  expiresAt: 100,
  ...fields,
});
const bytes = (...of: number[]) => new Uint8Array(of);
const claimed = { kind: 'claimed' };
const known = (outcome: Uint8Array | undefined, requestHash = 'hash') => ({ kind: 'known', requestHash, outcome });
const full = (message: string) => ({ kind: 'full', message });

/** What a driver returns may be a Buffer. */
async function claim(store: Store, ...args: Parameters<IdempotencyStore['claim']>): Promise<unknown> {
  const answer = await store.claim(...args);
  return answer.kind === 'known' && answer.outcome !== undefined
    ? { ...answer, outcome: new Uint8Array(answer.outcome) }
    : answer;
}

describe.each(stores)('the store of outcomes in $name', ({ make }) => {
  test('knows a call from its claim on, and its outcome from then on', async () => {
    const store = make();
    expect(await claim(store, call('a'), 0)).toEqual(claimed);
    expect(await claim(store, call('a'), 0)).toEqual(known(undefined));
    await store.settle(call('a'), bytes(1, 0, 255));
    expect(await claim(store, call('a', { requestHash: 'other' }), 0)).toEqual(known(bytes(1, 0, 255)));
    expect(await claim(store, call('b'), 0)).toEqual(claimed);
    expect(store.size).toBe(2);
  });

  test('forgets what has expired, and nothing else', async () => {
    const store = make();
    await claim(store, call('claimed'), 0);
    await claim(store, call('settled'), 0);
    await store.settle(call('settled', { expiresAt: 200 }), bytes(1));
    expect(await claim(store, call('claimed'), 99)).toEqual(known(undefined));
    // Expired is unknown, whether somebody has cleaned up or not.
    expect(await claim(store, call('claimed', { requestHash: 'new', expiresAt: 150 }), 100)).toEqual(claimed);
    expect(await store.prune(149)).toBe(2);
    expect(await store.prune(150)).toBe(1);
    expect(await claim(store, call('settled'), 199)).toEqual(known(bytes(1)));
    expect(await store.prune(200)).toBe(0);
    expect([store.size, store.bytes]).toEqual([0, 0]);
  });

  test('takes the outcome of a call that ran for longer than claims are kept', async () => {
    const store = make();
    await claim(store, call('a'), 0);
    await store.prune(100);
    await store.settle(call('a', { expiresAt: 300 }), bytes(7));
    expect(await claim(store, call('a'), 100)).toEqual(known(bytes(7)));
  });

  test('takes no outcome for another request that was claimed when the first had expired', async () => {
    const store = make();
    await claim(store, call('a'), 0);
    expect(await claim(store, call('a', { requestHash: 'other', expiresAt: 200 }), 100)).toEqual(claimed);
    await store.settle(call('a', { expiresAt: 300 }), bytes(7));
    expect(await claim(store, call('a'), 199)).toEqual(known(undefined, 'other'));
    await store.settle(call('a', { requestHash: 'other', expiresAt: 300 }), bytes(8));
    expect(await claim(store, call('a'), 299)).toEqual(known(bytes(8), 'other'));
  });

  test('refuses new calls at its limits, and forgets none for them', async () => {
    const store = make({ maxEntries: 3, maxPrincipalShare: 1 });
    for (const id of ['a', 'b', 'c']) expect(await claim(store, call(id), 0)).toEqual(claimed);
    expect(await claim(store, call('d'), 0)).toEqual(full('maxEntries (3) is reached'));
    expect(await claim(store, call('a'), 0)).toEqual(known(undefined));
    await store.prune(100);
    expect(await claim(store, call('d', { expiresAt: 200 }), 100)).toEqual(claimed);
  });

  test('leaves room to the other principals', async () => {
    const store = make({ maxEntries: 8, maxPrincipalShare: 1 / 4 });
    for (const id of ['a', 'b']) expect(await claim(store, call(id), 0)).toEqual(claimed);
    expect(await claim(store, call('c'), 0)).toEqual(full("one principal's share of maxEntries (2) is reached"));
    expect(await claim(store, call('c', { principal: 'bob' }), 0)).toEqual(claimed);
    const bytesOfOne = make({ maxBytes: 8_000, maxPrincipalShare: 1 / 8 });
    expect(await claim(bytesOfOne, call('a'), 0)).toEqual(claimed);
    expect(await claim(bytesOfOne, call('x'.repeat(500)), 0)).toEqual(
      full("one principal's share of maxBytes (1000) is reached"),
    );
    expect(await claim(bytesOfOne, call('x'.repeat(300), { principal: 'bob' }), 0)).toEqual(claimed);
  });

  test('throws where an outcome does not fit, and keeps the claim without it', async () => {
    const store = make({ maxBytes: 1_000, maxPrincipalShare: 1 });
    await claim(store, call('a'), 0);
    const settle = async () => store.settle(call('a', { expiresAt: 200 }), new Uint8Array(1_000));
    await expect(settle()).rejects.toThrow('maxBytes (1000) is reached');
    expect(await claim(store, call('a'), 199)).toEqual(known(undefined));
    await store.settle(call('a', { expiresAt: 200 }), new Uint8Array(500));
    expect(await claim(store, call('a'), 199)).toEqual(known(new Uint8Array(500)));
    expect(store.bytes).toBeLessThanOrEqual(1_000);
  });

  test('counts what it holds as a list of its entries would, whatever happens to them', async () => {
    const store = make({ maxEntries: 30, maxPrincipalShare: 1 / 3 });
    const random = new Random(5);
    const model = new Map<string, { principal: string; expiresAt: number; outcome: boolean }>();
    let now = 0;
    for (let step = 0; step < 1_000; step++) {
      const id = `id ${Math.floor(random.next() * 50)}`;
      const principal = `p${id.length % 2}${id.at(-1) ?? ''}`.slice(0, 3);
      const dice = random.next();
      if (dice < 0.1) now += 10;
      else if (dice < 0.2) {
        await store.prune(now);
        for (const [key, { expiresAt }] of model) if (expiresAt <= now) model.delete(key);
      } else if (dice < 0.6) {
        const before = model.get(id);
        const isKnown = before !== undefined && before.expiresAt > now;
        if (before !== undefined && !isKnown) model.delete(id);
        const answer = await claim(store, call(id, { principal, expiresAt: now + 50 }), now);
        const own = [...model.values()].filter((entry) => entry.principal === principal).length;
        const kind = isKnown ? 'known' : model.size >= 30 || own >= 10 ? 'full' : 'claimed';
        expect(answer).toMatchObject({ kind });
        if (kind === 'claimed') model.set(id, { principal, expiresAt: now + 50, outcome: false });
      } else {
        const entry = model.get(id);
        if (entry === undefined) continue;
        await store.settle(call(id, { principal, expiresAt: now + 80 }), new Uint8Array(step % 100));
        model.set(id, { ...entry, expiresAt: now + 80, outcome: true });
      }
      expect(store.size).toBe(model.size);
    }
    await store.prune(now + 1_000);
    expect([store.size, store.bytes]).toEqual([0, 0]);
  });

  test.each([
    [{ maxEntries: 0 }, 'maxEntries must be an integer from 1, got 0'],
    [{ maxBytes: 1.5 }, 'maxBytes must be an integer from 1, got 1.5'],
    [{ maxPrincipalShare: 0 }, 'maxPrincipalShare must be above 0 and at most 1, got 0'],
    [{ maxPrincipalShare: Number.NaN }, 'maxPrincipalShare must be above 0 and at most 1, got NaN'],
  ])('refuses limits that are none: %j', (limits, message) => {
    expect(() => make(limits)).toThrow(message);
  });
});

describe('the store of outcomes in memory', () => {
  test('is another one each time', () => {
    expect(new MemoryIdempotencyStore().instance).not.toBe(new MemoryIdempotencyStore().instance);
  });
});

describe('the store of outcomes in SQLite', () => {
  test('is the same one when it is opened again, with all that it knew', async () => {
    const file = temporaryFile();
    const first = new SqliteIdempotencyStore(open(file));
    first.claim(call('claimed'), 0);
    first.claim(call('settled'), 0);
    first.settle(call('settled'), bytes(9));
    const second = new SqliteIdempotencyStore(open(file));
    expect(second.instance).toBe(first.instance);
    expect(second.size).toBe(2);
    expect(await claim(second, call('claimed'), 0)).toEqual(known(undefined));
    expect(await claim(second, call('settled'), 0)).toEqual(known(bytes(9)));
    expect(new SqliteIdempotencyStore(open(temporaryFile())).instance).not.toBe(first.instance);
  });

  test('is one for all who open the file: what one claims the other knows', async () => {
    const file = temporaryFile();
    const [one, other] = [new SqliteIdempotencyStore(open(file)), new SqliteIdempotencyStore(open(file))];
    expect(await claim(one, call('a'), 0)).toEqual(claimed);
    expect(await claim(other, call('a'), 0)).toEqual(known(undefined));
    other.settle(call('a'), bytes(1));
    expect(await claim(one, call('a'), 0)).toEqual(known(bytes(1)));
  });

  test('throws where the database does, and goes on once it does not: nothing is half done', async () => {
    const file = temporaryFile();
    const db = open(file);
    const store = new SqliteIdempotencyStore(db);
    db.exec('BEGIN'); // as somebody does who awaits within a transaction
    expect(() => store.claim(call('a'), 0)).toThrow();
    db.exec('ROLLBACK');
    expect(await claim(store, call('a'), 0)).toEqual(claimed);
    db.exec("CREATE TRIGGER broken BEFORE UPDATE ON holdfast_idempotency BEGIN SELECT RAISE(ABORT, 'broken'); END");
    expect(() => store.settle(call('a'), bytes(1))).toThrow('broken');
    expect(await claim(store, call('a'), 0)).toEqual(known(undefined));
    expect(await claim(store, call('b'), 0)).toEqual(claimed);
  });

  test('forgets many in several transactions', async () => {
    const db = open(temporaryFile());
    const store = new SqliteIdempotencyStore(db, { maxPrincipalShare: 1 });
    db.exec('BEGIN');
    const insert = db.prepare("INSERT INTO holdfast_idempotency VALUES (?, 'ann', 'hash', ?, 10, NULL)");
    for (let i = 0; i < 2_500; i++) insert.run(`id ${i}`, i < 2_300 ? 50 : 500);
    db.exec('COMMIT');
    expect(store.size).toBe(2_500);
    expect(await store.prune(100)).toBe(200);
    expect(store.bytes).toBe(2_000);
  });
});
