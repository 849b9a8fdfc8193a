import { Type } from '@sinclair/typebox';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createServiceSchema } from '../../router/services.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { Permission } from '../../watch/authorization.ts';
import { createCollection } from '../../watch/collection.ts';
import { collectionProcedures } from '../../watch/collectionProcedures.ts';
import { watchCollection } from '../../watch/watchCollection.ts';
import { bytesKeptBy } from '../attacks/support/memory.ts';

const Member = Type.Object({ room: Type.String(), note: Type.Optional(Type.String()) });

async function setup(
  options: {
    transport?: 'memory' | 'ws' | 'unix';
    codec?: typeof JsonCodec;
    authorize?: () => Permission;
    keep?: number;
  } = {},
) {
  const { transport = 'memory', codec = JsonCodec, authorize = () => true, keep } = options;
  const h = await createHarness({ transport, codec });
  const create = () => {
    const roster = createCollection({ value: Member, keep: { events: keep }, clock: h.clock });
    const services = { roster: createServiceSchema().define(collectionProcedures(roster, { authorize })) };
    const link = h.server();
    return { roster, services, link, server: createServer(link, services) };
  };
  let now = create();
  const transportOfClient = h.client();
  const client = createClient<typeof now.services>(transportOfClient);
  const stop = async () => {
    await now.server.close();
    await h.settled();
    now.link.close();
    now.roster.close();
  };
  return {
    h,
    client,
    transport: transportOfClient,
    roster: () => now.roster,
    calls: () => now.server.openCalls,
    async restart() {
      await stop();
      now = create();
    },
    async end() {
      await stop();
      await h[Symbol.asyncDispose]();
    },
  };
}

describe.each(matrix)('a collection over $name', ({ transport, codec }) => {
  test('is seen as it is, and as it changes: values, and keys that go', async () => {
    const { h, client, roster, end } = await setup({ transport, codec });
    roster().set('ann', { room: 'red' });
    roster().set('bob', { room: 'blue' });
    const seen = watchCollection(client.roster, { clock: h.clock });
    await h.settled();
    expect([...(seen.value ?? [])]).toEqual([
      ['ann', { room: 'red' }],
      ['bob', { room: 'blue' }],
    ]);
    roster().set('ann', { room: 'blue' });
    roster().delete('bob');
    const position = roster().set('cid', { room: 'red' });
    await seen.reached(position);
    expect([...(seen.value ?? [])]).toEqual([
      ['ann', { room: 'blue' }],
      ['cid', { room: 'red' }],
    ]);
    expect([seen.state, seen.stats.loads]).toEqual(['live', 1]);
    seen.dispose();
    await end();
  });
});

describe('a collection', () => {
  test('comes in pieces that messages can carry, and in all of one position', async () => {
    const { h, client, roster, end } = await setup();
    const note = 'x'.repeat(1000);
    for (let n = 0; n < 3000; n++) roster().set(`member ${n}`, { room: 'red', note });
    const seen = watchCollection(client.roster, { clock: h.clock });
    for (let turn = 0; turn < 5; turn++) await h.settled();
    expect([seen.value?.size, seen.state]).toEqual([3000, 'live']);
    seen.dispose();
    const pages: number[] = [];
    const { resReadable } = client.roster.snapshot.subscribe({});
    void (async () => {
      for await (const result of resReadable) if (result.ok) pages.push(result.payload.entries.length);
    })();
    for (let turn = 0; turn < 5; turn++) await h.settled();
    expect(pages.reduce((sum, entries) => sum + entries, 0)).toBe(3000);
    // 128 KiB each, by what entries weigh at most.
    expect(Math.min(...pages.slice(0, -1))).toBeGreaterThan(100);
    await end();
  });

  test('is the same again after a restart, a kick, and a hard reconnect within and beyond its history', async () => {
    const { h, client, roster, restart, transport, end } = await setup({ keep: 3 });
    roster().set('ann', { room: 'red' });
    const seen = watchCollection(client.roster, { clock: h.clock });
    await h.settled();
    transport.hardDisconnect();
    roster().set('bob', { room: 'red' });
    roster().delete('ann');
    await h.advance(3_000);
    expect([[...(seen.value?.keys() ?? [])], seen.stats.loads]).toEqual([['bob'], 1]);
    transport.hardDisconnect();
    for (const name of ['cid', 'dan', 'eve', 'fay']) roster().set(name, { room: 'red' });
    roster().delete('bob');
    await h.advance(3_000);
    expect([[...(seen.value?.keys() ?? [])], seen.stats.resets]).toEqual([['cid', 'dan', 'eve', 'fay'], 1]);
    await restart();
    roster().set('gil', { room: 'blue' });
    await h.advance(5_000);
    expect([[...(seen.value?.keys() ?? [])], seen.state, seen.stats.resets]).toEqual([['gil'], 'live', 2]);
    seen.dispose();
    await end();
  });

  test('is seen by key by those who may, and by nobody who may not any more', async () => {
    const controller = new AbortController();
    const { h, client, roster, calls, end } = await setup({ authorize: () => ({ revoked: controller.signal }) });
    roster().set('ann', { room: 'red' });
    roster().set('bob', { room: 'red' });
    const seen = watchCollection(client.roster, { keys: ['ann', 'cid'], clock: h.clock });
    await h.settled();
    roster().set('cid', { room: 'red' });
    roster().set('dan', { room: 'red' });
    await h.settled();
    expect([...(seen.value?.keys() ?? [])]).toEqual(['ann', 'cid']);
    controller.abort();
    await h.settled();
    expect([seen.state, calls()]).toEqual(['refused', 0]);
    const results = client.roster.snapshot.subscribe({}).resReadable.collect();
    await h.settled();
    expect(await results).toMatchObject([{ ok: false, payload: { code: 'NOT_AUTHORIZED' } }]);
    await end();
  });

  test('is not copied for whoever asks for it: not at one position, and not at many', async () => {
    const roster = createCollection({ value: Member });
    for (let n = 0; n < 20_000; n++) roster.set(`member ${n}`, { room: 'red' });
    const { snapshot } = collectionProcedures(roster, { authorize: () => true });
    const oneCopy = await bytesKeptBy(() => roster.snapshot());
    expect(oneCopy).toBeGreaterThan(200_000);
    // Whoever waits for ever must be waited for by somebody, or the collector takes it for gone.
    const waiting: (() => void)[] = [];
    const slow = {
      isWritable: () => true,
      write: () => false,
      waitForWriteReady: () => new Promise<void>((resolve) => waiting.push(resolve)),
      close: () => undefined,
    };
    const held = await bytesKeptBy(async () => {
      for (let n = 0; n < 40; n++) {
        void snapshot.handler({ ctx: {}, reqInit: {}, resWritable: slow } as never);
        await new Promise((resolve) => setImmediate(resolve));
        if (n >= 20) roster.set('somebody', { room: `room ${n}` });
      }
    });
    expect(waiting.length).toBe(40);
    // What is held is the first page of each.
    expect(held).toBeLessThan(oneCopy * 4);
  });

  test('who leaves and comes again while it is read is there as it was', async () => {
    const { h, client, roster, end } = await setup();
    const note = 'x'.repeat(1000);
    for (let n = 0; n < 1_000; n++) roster().set(`member ${n}`, { room: 'red', note });
    const seen = new Map<string, string>();
    const positions = new Set<number>();
    const { resReadable } = client.roster.snapshot.subscribe({});
    for await (const result of resReadable) {
      if (!result.ok) throw new Error(result.payload.message);
      positions.add(result.payload.position.offset);
      for (const { key, value } of result.payload.entries) seen.set(key, value.room);
      for (const key of ['member 0', 'member 999']) {
        roster().delete(key);
        roster().set(key, { room: 'blue' });
      }
      roster().set('member 998', { room: 'blue' });
      roster().delete('member 997');
      roster().set('late', { room: 'blue' });
    }
    expect([seen.size, new Set(seen.values()), positions]).toEqual([1_000, new Set(['red']), new Set([1_000])]);
    await h.settled();
    await end();
  });

  test('is unchanged by what is refused', () => {
    const roster = createCollection({ value: Member, maxEntries: 1 });
    expect(() => roster.set('ann', { room: 5 as never })).toThrow('the event does not fit its schema');
    roster.set('ann', { room: 'red' });
    expect(() => roster.set('bob', { room: 'red' })).toThrow('expected at most 1 keys, got one more');
    expect(roster.delete('bob')).toBeUndefined();
    expect([roster.size, roster.has('ann'), roster.topic.head().offset]).toEqual([1, true, 1]);
    roster.close();
    expect(() => roster.set('ann', { room: 'blue' })).toThrow('it was closed');
    expect(() => roster.delete('ann')).toThrow('it was closed');
    expect(roster.get('ann')).toEqual({ room: 'red' });
    const closed = createCollection({ value: Member });
    closed.close();
    expect(() => closed.set('ann', { room: 'red' })).toThrow('it was closed');
    expect([closed.size, closed.has('ann')]).toEqual([0, false]);
  });

  test('whoever is told of a change finds it', () => {
    const roster = createCollection({ value: Member });
    const found: unknown[] = [];
    roster.topic.onAppend(() => found.push(roster.snapshot().value.get('ann')));
    roster.set('ann', { room: 'red' });
    roster.delete('ann');
    expect(found).toEqual([{ room: 'red' }, undefined]);
  });
});
