import { describe, expect, test } from 'vitest';
import { createCache } from '../../cache/createCache.ts';
import { Line } from '../../cache/line.ts';
import { relayCache } from '../../cache/relayCache.ts';
import { JsonCodec } from '../../codec/json.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { allExtensions } from '../support/extensions.ts';
import { Chain, type ChainOptions, type Doc, type DocServices, docServices } from './support/chain.ts';
import { lastingStore } from './support/lastingStore.ts';

/** A chain whose leaf holds a, and whose owner is gone for longer than any session. */
async function cutOff(
  whenLost: NonNullable<ChainOptions['relays']>['whenLost'],
  fetchTimeoutMs = 5_000,
): Promise<Chain> {
  const chain = await Chain.create({ relays: { whenLost, fetchTimeoutMs } });
  await chain.leaf.get('a');
  const { link } = chain.node(0).harness;
  link.setReachable(false);
  link.cut();
  chain.write('a', 1);
  await chain.owner.invalidate('a');
  return chain;
}

const GRACE_MS = 31_000;

describe('while the subscription is lost', () => {
  test('a connection that comes back within the grace period is no loss: what is held is served', async () => {
    await using chain = await cutOff('reject');
    await chain.advance(5_000);
    expect([chain.leaf.state, await chain.leaf.get('a')]).toEqual(['live', { n: 0 }]);
  });

  test('every hop after the loss knows of it, and is live again once all before it are', async () => {
    await using chain = await cutOff('fetch');
    await chain.advance(GRACE_MS);
    expect([chain.node(1).cache.state, chain.leaf.state]).toEqual(['lost', 'lost']);
    chain.node(0).harness.link.setReachable(true);
    await chain.advance(60_000);
    expect([chain.node(1).cache.state, chain.leaf.state]).toEqual(['live', 'live']);
    expect([await chain.leaf.get('a'), chain.leaf.stats.clears]).toEqual([{ n: 1 }, 1]);
  });

  test('fetch, the default, asks the upstream, and fails if nobody answers', async () => {
    await using chain = await cutOff(undefined);
    await chain.advance(GRACE_MS);
    const failed = expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.advance(5_000);
    await failed;
  });

  test('fetch answers as soon as somebody is there to ask, subscribed or not', async () => {
    await using chain = await cutOff('fetch', 60_000);
    await chain.advance(GRACE_MS);
    let answer: unknown;
    const value = chain.leaf.get('a').then((found) => {
      answer = found;
    });
    await chain.advance(1_000);
    expect(answer).toBeUndefined();
    chain.node(0).harness.link.setReachable(true);
    await chain.advance(50_000);
    await value;
    expect(answer).toEqual({ n: 1 });
  });

  test('reject does not answer, but for a fresh get', async () => {
    await using chain = await cutOff('reject');
    await chain.advance(GRACE_MS);
    await expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'CACHE_LOST' });
    const fresh = expect(chain.leaf.get('a', { fresh: true })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.advance(5_000);
    await fresh;
  });

  test('maxStaleMs serves what is held for so long after the loss', async () => {
    await using chain = await cutOff({ maxStaleMs: 60_000 });
    await chain.advance(GRACE_MS);
    expect([chain.leaf.state, await chain.leaf.get('a')]).toEqual(['lost', { n: 0 }]);
    await chain.advance(61_000);
    const failed = expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.advance(5_000);
    await failed;
  });

  test('maxStaleMs or not, what was dropped is not served', async () => {
    await using chain = await Chain.create({ relays: { whenLost: { maxStaleMs: 1e9 } } });
    await chain.leaf.get('a');
    chain.write('a', 1);
    await chain.leaf.invalidate('a');
    const { link } = chain.node(0).harness;
    link.setReachable(false);
    link.cut();
    await chain.advance(GRACE_MS);
    const value = chain.leaf.get('a');
    link.setReachable(true);
    await chain.advance(20_000);
    expect(await value).toEqual({ n: 1 });
  });

  test('maxStaleMs serves nothing of a lasting store that was never live: how old that is, nobody knows', async () => {
    const { store, copy } = lastingStore();
    await using chain = await Chain.create({
      relays: { whenLost: { maxStaleMs: 1e9 }, fetchTimeoutMs: 5_000 },
      storeOf: (index) => (index === 2 ? store : undefined),
    });
    await chain.leaf.get('a');
    await chain.stop(2);
    chain.node(1).harness.link.setReachable(false);
    chain.begin(2);
    await chain.advance(GRACE_MS);
    expect([chain.leaf.state, copy().values.get('a')]).toEqual(['connecting', { n: 0 }]);
    const failed = expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.advance(5_000);
    await failed;
  });

  test('the time of a loss is that of the last one, and a closed cache stays closed', () => {
    const line = new Line('connecting');
    const told: string[] = [];
    line.onChange(() => told.push(`${line.state} ${line.lostAt}`));
    for (const [now, state] of (['lost', 'live', 'lost', 'lost', 'live', 'lost', 'closed', 'live'] as const).entries())
      line.moveTo(state, now);
    expect(told).toEqual(['live undefined', 'lost 2', 'live undefined', 'lost 5', 'closed undefined']);
  });

  test('a maxStaleMs that is none is refused', async () => {
    await expect(Chain.create({ relays: { whenLost: { maxStaleMs: 0 } } })).rejects.toThrow(
      'expected whenLost.maxStaleMs of more than 0, got 0',
    );
  });
});

test('now and then a hop subscribes anew since its position, whatever the server may have forgotten', async () => {
  await using chain = await Chain.create({ nodes: 2, relays: { resyncMs: 10_000 } });
  await chain.leaf.get('a');
  const { served } = chain.node(0);
  const follows: string[] = [];
  for (let round = 0; round < 5; round++) {
    await chain.advance(12_500);
    for (const [streamId, { procedureName }] of served.server.streams)
      if (procedureName === 'changes') follows.push(streamId);
  }
  expect(new Set(follows).size).toBe(5);
  expect([chain.leaf.state, chain.leaf.stats.clears, await chain.leaf.get('a')]).toEqual(['live', 1, { n: 0 }]);
  expect(chain.loads).toBe(1);
});

describe('a hop whose transport was closed', () => {
  test('is lost and holds no timer, also one that begins later', async () => {
    await using harness = await createHarness({ transport: 'memory', codec: JsonCodec });
    const owner = createCache<Doc>({ load: async () => ({ n: 1 }), clock: harness.clock });
    const server = createServer(harness.server({ extensions: allExtensions }), docServices(owner));
    const transport = harness.client({ extensions: allExtensions });
    const client = createClient<DocServices>(transport);
    const before = harness.clock.pendingTimers;
    // Nobody closes it: leaving the block checks that it holds no timer.
    const hop = relayCache<Doc>(client.docs, { clock: harness.clock });
    await harness.settled();
    expect([hop.state, await hop.get('a')]).toEqual(['live', { n: 1 }]);
    expect(harness.clock.pendingTimers).toBeGreaterThan(before);
    transport.close();
    expect(hop.state).toBe('lost');
    await expect(hop.invalidate('a')).rejects.toThrow();
    const late = relayCache<Doc>(client.docs, { clock: harness.clock });
    expect(late.state).toBe('connecting');
    await server.close();
    owner.close();
  });
});
