import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { Calendar } from '../../router/calendar.ts';
import { MemoryIdempotencyStore } from '../../router/memoryIdempotencyStore.ts';
import { Ok } from '../../router/result.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { SqliteIdempotencyStore } from '../../watch/sqliteIdempotencyStore.ts';
import { DeviceClock } from '../support/deviceClock.ts';
import { createShopStage, shopOf } from '../support/shop.ts';

const memory = { transport: 'memory', codec: JsonCodec } as const;
const HOUR = 3_600_000;

describe('a calendar', () => {
  async function opened() {
    const h = await createHarness(memory);
    const clock = new DeviceClock(h.clock);
    const start = clock.wallNow();
    const calendar = new Calendar(clock, 1_000);
    /** What it says, from when it began. */
    const said = () => [calendar.earliest - start, calendar.latest - start];
    return { h, clock, said, [Symbol.asyncDispose]: () => h[Symbol.asyncDispose]() };
  }

  test('says what the clock says, as long as nobody sets that', async () => {
    await using set = await opened();
    for (let i = 0; i < 5; i++) {
      expect(set.said()).toEqual([i * 700, i * 700]);
      await set.h.advance(700);
    }
  });

  test.each([
    { by: HOUR, both: [0, HOUR] },
    { by: -HOUR, both: [-HOUR, 0] },
  ])(
    'that is set by $by judges by the earlier time and dates by the later one, until nothing is left from before',
    async ({ by, both }) => {
      await using set = await opened();
      await set.h.advance(500);
      expect(set.said()).toEqual([500, 500]);
      const begin = set.h.clock.now() - 500;
      set.clock.wrongByMs = by;
      expect(set.said()).toEqual(both.map((shift) => 500 + shift));
      for (const at of [1_499, 2_498]) {
        await set.h.advance(at - (set.h.clock.now() - begin));
        expect(set.said()).toEqual(both.map((shift) => at + shift));
      }
      await set.h.advance(1);
      expect(set.said()).toEqual([2_499 + by, 2_499 + by]);
    },
  );

  test('of a process that slept catches up', async () => {
    await using set = await opened();
    set.clock.sleep();
    await set.h.advance(HOUR);
    set.clock.wake();
    expect(set.said()).toEqual([0, HOUR]);
    await set.h.advance(1_000);
    set.said();
    await set.h.advance(1_000);
    expect(set.said()).toEqual([HOUR + 2_000, HOUR + 2_000]);
  });
});

test.each([HOUR, -HOUR])(
  'outcomes in SQLite are kept for as long as was said when the clock is set by %d',
  async (by) => {
    const db: Database.Database = new Database(':memory:');
    await using stage = await createShopStage(memory);
    const clock = new DeviceClock(stage.h.clock);
    const store = new SqliteIdempotencyStore(db);
    const server = createServer(stage.h.server({ clock }), shopOf(stage.till), {
      idempotency: { store, ttlMs: 60_000 },
    });
    const { client } = stage.client();
    const place = () => client.orders.place.rpc({ item: 'book' }, { idempotencyKey: 'a' });
    const expiry = db.prepare('SELECT MIN(expires_at) AS at FROM holdfast_idempotency');
    expect(await place()).toEqual(Ok({ number: 1 }));
    clock.wrongByMs = by;
    await client.orders.refund.rpc({ item: 'book' }, { idempotencyKey: 'a' });
    // Another process on the file, whose clock is right, does not forget it earlier either.
    expect(expiry.get()).toMatchObject({ at: stage.h.clock.wallNow() + 120_000 });
    await stage.h.advance(59_999);
    expect(await place()).toEqual(Ok({ number: 1 }));
    clock.wrongByMs = 0;
    await stage.h.advance(1);
    expect(await place()).toEqual(Ok({ number: 1 }));
    await stage.h.advance(2 * HOUR);
    expect(store.size).toBe(0);
    await server.close();
    db.close();
  },
);

test('an outcome is kept from when it came, however long that took', async () => {
  await using stage = await createShopStage(memory);
  stage.open({ store: new MemoryIdempotencyStore(), ttlMs: 60_000 });
  const { client } = stage.client();
  const place = () => client.orders.place.rpc({ item: 'book' }, { idempotencyKey: 'a' });
  stage.till.hold();
  const placed = place();
  await stage.h.advance(100_000);
  stage.till.release();
  expect(await placed).toEqual(Ok({ number: 1 }));
  await stage.h.advance(100_000);
  expect(await place()).toEqual(Ok({ number: 1 }));
});

test('what an earlier server left is forgotten in its time, even if nobody calls', async () => {
  await using stage = await createShopStage(memory);
  const store = new MemoryIdempotencyStore();
  store.claim({ id: 'a', principal: 'ann', requestHash: '', expiresAt: stage.h.clock.now() + 30_000 }, 0);
  stage.open({ store, ttlMs: 60_000 });
  await stage.h.advance(45_000);
  expect(store.size).toBe(0);
  // Nobody has looked since there was nothing left.
  await stage.h.advance(45_000);
  const { client } = stage.client();
  expect(await client.orders.place.rpc({ item: 'book' }, { idempotencyKey: 'a' })).toEqual(Ok({ number: 1 }));
  await stage.h.advance(150_000);
  expect(store.size).toBe(0);
});
