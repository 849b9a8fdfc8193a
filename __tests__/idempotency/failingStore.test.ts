import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import type { ClaimAnswer, IdempotencyClaim, IdempotencyStore } from '../../router/idempotencyStore.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { SqliteIdempotencyStore } from '../../watch/sqliteIdempotencyStore.ts';
import { createShopStage, shopOf } from '../support/shop.ts';

const memory = { transport: 'memory', codec: JsonCodec } as const;
const book = { item: 'book' };
const failed = (code: string) => ({ ok: false, payload: { code, message: expect.any(String) } });

/** A store that takes its time, and fails where it is told to. */
class Moody implements IdempotencyStore {
  readonly isDurable = false;
  readonly #store = new MemoryIdempotencyStore();
  fails: 'claim' | 'settle' | 'prune' | undefined;
  /** How it fails: at once, or later. */
  isAsynchronous = true;
  /** Set by a test that wants to come between the question and the answer. */
  claiming: Promise<void> | undefined;
  prunings = 0;

  get instance(): string {
    return this.#store.instance;
  }

  claim(claim: IdempotencyClaim, now: number): Promise<ClaimAnswer> {
    const answer = async () => {
      await this.claiming;
      this.#fail('claim');
      return this.#store.claim(claim, now);
    };
    if (!this.isAsynchronous) this.#fail('claim');
    return answer();
  }

  settle(claim: IdempotencyClaim, outcome: Uint8Array): Promise<void> {
    const answer = async () => {
      this.#fail('settle');
      this.#store.settle(claim, outcome);
    };
    if (!this.isAsynchronous) this.#fail('settle');
    return answer();
  }

  prune(now: number): Promise<number> {
    this.prunings += 1;
    if (!this.isAsynchronous) this.#fail('prune');
    return (async () => {
      this.#fail('prune');
      return this.#store.prune(now);
    })();
  }

  #fail(at: 'claim' | 'settle' | 'prune'): void {
    if (this.fails === at) throw new Error(`${at}: no such disk`);
  }
}

describe.each([true, false])('a store of outcomes that fails (asynchronously: %j)', (isAsynchronous) => {
  async function opened() {
    const stage = await createShopStage(memory);
    const store = new Moody();
    store.isAsynchronous = isAsynchronous;
    stage.open({ store, ttlMs: 60_000 });
    const { client, transport } = stage.client();
    const place = (idempotencyKey: string, item = 'book') => client.orders.place.rpc({ item }, { idempotencyKey });
    return { stage, store, client, transport, place, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
  }

  test('at the claim: nothing is executed, and other calls go on', async () => {
    await using set = await opened();
    const { stage, store, place, client } = set;
    store.fails = 'claim';
    expect(await place('a')).toEqual(failed('UNCAUGHT_ERROR'));
    expect(stage.till.effects).toEqual([]);
    expect(await client.orders.place.rpc(book)).toEqual(Ok({ number: 1 }));
    expect(stage.lines).toContainEqual([
      'the idempotency store failed: the call was not executed',
      expect.objectContaining({ error: new Error('claim: no such disk') }),
    ]);
    store.fails = undefined;
    expect(await place('a')).toEqual(Ok({ number: 2 }));
  });

  test('at the claim of a repeat: nobody can tell what came of the first attempt', async () => {
    await using set = await opened();
    const { stage, store, place, transport } = set;
    stage.till.hold();
    const first = place('a');
    await stage.h.settled();
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    await stage.h.settled();
    stage.till.release();
    await stage.h.settled();
    store.fails = 'claim';
    stage.h.link.setReachable(true);
    await stage.hardReconnect(transport);
    expect(await first).toEqual(failed('OUTCOME_UNKNOWN'));
    store.fails = undefined;
    expect(await place('a')).toEqual(Ok({ number: 1 }));
  });

  test('at the outcome: whoever waits hears it, and nothing is executed twice', async () => {
    await using set = await opened();
    const { stage, store, place } = set;
    store.fails = 'settle';
    expect(await place('a')).toEqual(Ok({ number: 1 }));
    store.fails = undefined;
    expect(await place('a')).toEqual(failed('OUTCOME_UNKNOWN'));
    expect(await place('b')).toEqual(Ok({ number: 2 }));
    expect(stage.till.effects).toEqual(['book', 'book']);
  });

  test('at forgetting: it is asked again, until nothing is left', async () => {
    await using set = await opened();
    const { stage, store, place } = set;
    await place('a');
    store.fails = 'prune';
    await stage.h.advance(200_000);
    const { prunings } = store;
    expect(prunings).toBeGreaterThan(1);
    store.fails = undefined;
    await stage.h.advance(15_000);
    const last = store.prunings;
    expect(last).toBeGreaterThan(prunings);
    await stage.h.advance(200_000);
    expect(store.prunings).toBe(last);
    expect(await place('a')).toEqual(Ok({ number: 2 }));
  });
});

describe('a store of outcomes that takes its time', () => {
  test('is asked once for all who ask at once, whatever becomes of the first of them', async () => {
    await using stage = await createShopStage(memory);
    const store = new Moody();
    let answer = (): void => undefined;
    store.claiming = new Promise((resolve) => {
      answer = resolve;
    });
    stage.open({ store, ttlMs: 60_000 });
    const { client, transport } = stage.client();
    const first = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.hardReconnect(transport);
    const second = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    answer();
    expect(await Promise.all([first, second])).toEqual([Ok({ number: 1 }), Ok({ number: 1 })]);
    expect(stage.till.effects).toEqual(['book']);
  });

  test.each([
    { when: 'its caller stopped waiting', timeoutMs: 500, closes: false, code: 'DEADLINE_EXCEEDED' },
    { when: 'its server closed', timeoutMs: undefined, closes: true, code: 'CANCEL' },
  ])('executes nothing once $when', async ({ timeoutMs, closes, code }) => {
    await using stage = await createShopStage(memory);
    const store = new Moody();
    let answer = (): void => undefined;
    store.claiming = new Promise((resolve) => {
      answer = resolve;
    });
    stage.open({ store, ttlMs: 60_000 });
    const { client } = stage.client();
    const result = client.orders.place.rpc(book, { idempotencyKey: 'a', timeoutMs });
    await stage.h.settled();
    const closing = closes ? stage.server.close() : undefined;
    await stage.h.advance(600);
    answer();
    expect(await result).toEqual(failed(code));
    await stage.h.settled();
    await closing;
    expect(stage.till.effects).toEqual([]);
  });
});

test('what a store gives back is looked at: who knows who wrote to the file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-idempotency-'));
  const db: Database.Database = new Database(join(folder, 'outcomes.db'));
  try {
    await using stage = await createShopStage(memory);
    stage.open({ store: new SqliteIdempotencyStore(db), ttlMs: 60_000 });
    const { client } = stage.client();
    const place = () => client.orders.place.rpc(book, { idempotencyKey: 'a' });
    expect(await place()).toEqual(Ok({ number: 1 }));
    expect(await place()).toEqual(Ok({ number: 1 }));
    for (const outcome of [new Uint8Array([0xc1]), new Uint8Array([0x01])]) {
      // Two parameters: libsql takes a single object for a list of named ones.
      db.prepare('UPDATE holdfast_idempotency SET outcome = ? WHERE id <> ?').run(outcome, '');
      expect(await place()).toEqual(failed('OUTCOME_UNKNOWN'));
    }
    expect(stage.till.effects).toEqual(['book']);
  } finally {
    db.close();
    rmSync(folder, { recursive: true });
  }
});

test('a restart keeps what SQLite keeps: the repeat gets the outcome that its first attempt did not live to hear', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-idempotency-'));
  const db: Database.Database = new Database(join(folder, 'outcomes.db'));
  try {
    await using stage = await createShopStage(memory);
    stage.open({ store: new SqliteIdempotencyStore(db), ttlMs: 60_000 });
    const { client, transport } = stage.client();
    stage.till.hold();
    const settled = client.orders.place.rpc(book, { idempotencyKey: 'a' });
    await stage.h.settled();
    stage.h.link.setReachable(false);
    stage.h.link.cut();
    await stage.h.settled();
    stage.till.release();
    await stage.h.settled();
    stage.crash();
    stage.h.link.setReachable(true);
    stage.open({ store: new SqliteIdempotencyStore(db), ttlMs: 60_000 });
    await stage.hardReconnect(transport);
    expect(await settled).toEqual(Ok({ number: 1 }));
    expect(stage.till.effects).toEqual(['book']);
  } finally {
    db.close();
    rmSync(folder, { recursive: true });
  }
});

test('a store that is full refuses new calls by name, one principal after the other, and forgets nothing', async () => {
  await using stage = await createShopStage(memory);
  stage.open({ store: new MemoryIdempotencyStore({ maxEntries: 4, maxPrincipalShare: 1 / 2 }), ttlMs: 60_000 });
  const place = (client: ReturnType<typeof stage.client>['client'], idempotencyKey: string) =>
    client.orders.place.rpc(book, { idempotencyKey });
  const hostile = stage.client({}, 'hostile').client;
  for (const key of ['a', 'b']) expect((await place(hostile, key)).ok).toBe(true);
  for (const key of ['c', 'd']) expect(await place(hostile, key)).toEqual(failed('IDEMPOTENCY_STORE_FULL'));
  expect(stage.lines).toContainEqual([
    'a call with an idempotencyKey was refused: the store is full',
    expect.objectContaining({ reason: "one principal's share of maxEntries (2) is reached" }),
  ]);
  const honest = stage.client({}, 'honest').client;
  expect(await place(honest, 'a')).toEqual(Ok({ number: 3 }));
  expect(await place(hostile, 'a')).toEqual(Ok({ number: 1 }));
  expect(await place(honest, 'a')).toEqual(Ok({ number: 3 }));
  expect(stage.till.effects).toHaveLength(3);
});

test.each([
  [{ store: new MemoryIdempotencyStore(), ttlMs: 0 }, 'idempotency.ttlMs must be an integer from 1, got 0'],
  [{ store: Object.assign(new Moody(), {}), ttlMs: 1.5 }, 'idempotency.ttlMs must be an integer from 1, got 1.5'],
  [
    { store: new Map() as never },
    'idempotency.store must be a store whose instance is a text of 1 to 64 characters, got undefined',
  ],
  [
    {
      store: new (class extends Moody {
        override get instance() {
          return '';
        }
      })(),
    },
    "idempotency.store must be a store whose instance is a text of 1 to 64 characters, got ''",
  ],
])('a server refuses options that are none: %#', async (idempotency, message) => {
  await using stage = await createShopStage(memory);
  const transport = stage.h.server();
  expect(() => createServer(transport, shopOf(stage.till), { idempotency })).toThrow(message);
  stage.open({ store: new MemoryIdempotencyStore() }); // nothing of it is left in the way
});
