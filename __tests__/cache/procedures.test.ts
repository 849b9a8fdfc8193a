import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { CacheQuestion } from '../../cache/cacheProcedures.ts';
import { createCache } from '../../cache/createCache.ts';
import { CacheEventSchema } from '../../cache/messages.ts';
import { CallError } from '../../router/errors.ts';
import { createMirror } from '../../watch/mirror.ts';
import { createTopic } from '../../watch/topic.ts';
import { quietClock } from '../watch/support/clock.ts';
import { Chain, type Doc } from './support/chain.ts';

describe('errors', () => {
  test('what load fails with reaches every hop with its code, and is not cached', async () => {
    let isBroken = true;
    const failure = { code: 'NO_SUCH_DOC', message: 'there is none', extras: { path: ['a', 'b'] } };
    await using chain = await Chain.create({
      nodes: 4,
      owner: {
        load: () => {
          if (isBroken) throw new CallError(failure);
          return { n: 1 };
        },
      },
    });
    for (const { cache } of chain.nodes) {
      const error: unknown = await cache.get('a').catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CallError);
      expect(error).toMatchObject({ payload: failure });
    }
    isBroken = false;
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
  });

  test('the text of any other exception stays with the owner', async () => {
    const thrown = new Error('password 1234 is wrong');
    await using chain = await Chain.create({ nodes: 2, owner: { load: () => Promise.reject(thrown) } });
    await expect(chain.owner.get('a')).rejects.toBe(thrown);
    const error: unknown = await chain.leaf.get('a').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'LOAD_FAILED' });
    expect(String(error)).not.toContain('1234');
  });

  test('a fetch that takes too long fails at every hop, and the load is told', async () => {
    const signals: AbortSignal[] = [];
    await using chain = await Chain.create({
      owner: {
        fetchTimeoutMs: 1_000,
        load: (_key, { signal }) => {
          signals.push(signal);
          return new Promise(() => undefined);
        },
      },
    });
    const failed = expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.advance(1_000);
    await failed;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test('a hop that gives a fetch up tells the hop before, whose own goes on', async () => {
    await using chain = await Chain.create({ relays: { fetchTimeoutMs: 1_000 }, nodes: 2 });
    let open = (): void => undefined;
    chain.beforeLoaded = () =>
      new Promise((resolve) => {
        open = resolve;
      });
    const failed = expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await chain.settled();
    const { server } = chain.node(0).served;
    expect([server.openCalls, chain.owner.stats.pending]).toEqual([2, 2]); // one follows; a caller and its fetch
    await chain.advance(1_000);
    await failed;
    expect([server.openCalls, chain.owner.stats.pending]).toEqual([1, 1]);
    open();
    await chain.settled();
    expect([await chain.leaf.get('a'), chain.loads]).toEqual([{ n: 0 }, 1]);
  });

  test('a caller that gives up does not take the value from the others', async () => {
    let open = (): void => undefined;
    await using chain = await Chain.create({ nodes: 2 });
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    chain.beforeLoaded = () => opened;
    const leaving = new AbortController();
    const patient = chain.leaf.get('a');
    const hurried = expect(chain.leaf.get('a', { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const aborted = expect(chain.leaf.get('a', { signal: leaving.signal })).rejects.toMatchObject({ code: 'CANCEL' });
    leaving.abort();
    await aborted;
    await expect(chain.leaf.get('a', { signal: leaving.signal })).rejects.toMatchObject({ code: 'CANCEL' });
    await chain.advance(500);
    await hurried;
    expect(chain.leaf.stats.pending).toBe(2); // one caller and its fetch
    open();
    expect(await patient).toEqual({ n: 0 });
    expect(chain.loads).toBe(1);
  });

  test.each([
    ['a key that is too long', 'k'.repeat(257), 'expected a key of at most 256 characters, got one of 257'],
    ['a key that is none', 5 as unknown as string, 'expected a key of at most 256 characters, got number'],
    ['a key that MessagePack cannot carry', 'half \ud83d', 'expected a key of whole characters'],
  ])('%s is refused', async (_what, key, message) => {
    await using chain = await Chain.create({ nodes: 2 });
    await expect(chain.leaf.get(key)).rejects.toThrow(message);
    await expect(chain.leaf.invalidate(key)).rejects.toThrow(message);
    for (const good of ['k'.repeat(256), '', '__proto__', 'a\u0000b', 'whole \ud83d\ude00'])
      expect(await chain.leaf.get(good)).toEqual({ n: 0 });
  });

  test('half of a surrogate pair from elsewhere is refused as an invalid request, and nothing is loaded', async () => {
    await using chain = await Chain.create({ nodes: 2 });
    const { client } = chain.bareClient(1);
    const refused = {
      ok: false,
      payload: { code: 'INVALID_REQUEST', message: expect.stringContaining('whole characters') },
    };
    for (const { rpc } of [client.docs.get, client.docs.invalidate])
      expect(await rpc({ key: '\ude00' })).toMatchObject(refused);
    expect([chain.loads, chain.owner.position?.offset]).toEqual([0, 0]);
  });

  test.each<[string, unknown]>([
    ['too long', 'k'.repeat(257)],
    ['a number', 5],
    ['half of a surrogate pair', '\ude00'],
    ['missing', undefined],
  ])('a key from elsewhere that is %s goes no further than the hop that it came to', async (_what, key) => {
    await using chain = await Chain.create({ nodes: 3 });
    const { client } = chain.bareClient(2);
    for (const { rpc } of [client.docs.get, client.docs.invalidate])
      expect(await rpc({ key } as never)).toMatchObject({ ok: false, payload: { code: 'INVALID_REQUEST' } });
    expect(chain.nodes.map(({ cache: { stats } }) => [stats.fetches, stats.invalidations])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('a timeout that is none is refused', async () => {
    await using chain = await Chain.create({ nodes: 2 });
    await expect(chain.leaf.get('a', { timeoutMs: -1 })).rejects.toThrow('expected timeoutMs of 0 or more, got -1');
    for (const timeoutMs of [Number.NaN, '5' as never])
      for (const refused of [chain.leaf.get('a', { timeoutMs }), chain.leaf.invalidate('a', { timeoutMs })])
        await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a signal that outlives what it was given for is let go of', async () => {
    await using chain = await Chain.create({ nodes: 2 });
    const { signal } = new AbortController();
    await chain.leaf.get('a', { signal });
    await chain.leaf.invalidate('a', { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('more callers than may wait are refused, and those that wait are served', async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const clock = quietClock();
    const cache = createCache({ load: () => opened.then(() => 1), maxWaiting: 2, maxFetches: 5, clock });
    const values = [cache.get('a'), cache.get('b')];
    await expect(cache.get('c')).rejects.toMatchObject({
      code: 'CACHE_BUSY',
      message: 'expected at most 2 callers waiting at once, got one more',
    });
    open();
    expect(await Promise.all(values)).toEqual([1, 1]);
    expect(await cache.get('c')).toBe(1);
    cache.close();
    expect([cache.stats.pending, clock.pendingTimers]).toEqual([0, 0]);
  });
});

describe('close', () => {
  test('ends everything that waits, and leaves nothing', async () => {
    await using chain = await Chain.create();
    chain.beforeLoaded = () => new Promise(() => undefined);
    const waiting = [chain.leaf.get('a'), chain.leaf.get('b', { timeoutMs: 5_000 })];
    chain.node(1).harness.link.setReachable(false);
    chain.node(1).harness.link.cut();
    const invalidating = chain.leaf.invalidate('a', { timeoutMs: Number.POSITIVE_INFINITY });
    const cause = { code: 'CACHE_CLOSED' };
    const ends = [
      ...waiting.map((value) => expect(value).rejects.toMatchObject({ code: 'CACHE_CLOSED' })),
      expect(invalidating).rejects.toMatchObject({ code: 'CACHE_UNCONFIRMED', cause }),
    ];
    chain.leaf.close();
    chain.leaf.close();
    await Promise.all(ends);
    expect([chain.leaf.state, chain.leaf.stats.pending]).toEqual(['closed', 0]);
    await expect(chain.leaf.get('a')).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    await expect(chain.leaf.invalidate('a')).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    chain.owner.close(); // and with it the load that never ends; the chain sees to it that nothing is left
  });
});

test('an owner that was closed has let go of the topic it was given, and closed the one of its own', () => {
  const clock = quietClock();
  const topic = createTopic({ event: CacheEventSchema, clock });
  const load = () => 1;
  const [given, own] = [createCache({ load, topic, clock }), createCache({ load, clock })];
  const ownTopic = own.hop.changes(createMirror);
  topic.publish({ key: 'a' });
  given.close();
  own.close();
  topic.publish({ key: 'b' });
  expect([given.stats.drops, given.position?.offset]).toEqual([1, 1]);
  expect(() => ownTopic.onAppend(() => undefined)).toThrow(expect.objectContaining({ code: 'WATCH_CLOSED' }));
});

describe('who may', () => {
  const ask = (questions: string[]) => (question: CacheQuestion<object>) => {
    const { action } = question;
    questions.push(action === 'changes' ? `${action} ${question.keys}` : `${action} ${question.key}`);
    if (action === 'get' && question.fresh) return false;
    return action === 'changes' || question.key !== 'secret';
  };

  test('is asked for each key and each thing to do, at each hop', async () => {
    const questions: string[] = [];
    await using chain = await Chain.create({ authorize: ask(questions) });
    expect(questions).toEqual(['changes undefined', 'changes undefined']);
    questions.length = 0;
    await chain.leaf.get('a');
    await chain.leaf.invalidate('a');
    expect(questions).toEqual(['get a', 'get a', 'invalidate a', 'invalidate a']);
    const refused = { code: 'NOT_AUTHORIZED', message: 'you may not do this' };
    await expect(chain.leaf.get('secret')).rejects.toMatchObject(refused);
    await expect(chain.leaf.get('a', { fresh: true })).rejects.toMatchObject(refused);
    const error: unknown = await chain.leaf.invalidate('secret').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallError); // refused is not unconfirmed: nothing was done
    expect([chain.loads, chain.owner.position?.offset]).toEqual([1, 1]);
  });

  test.each<[string, () => unknown]>([
    ['a throw', () => Promise.reject(new Error('the directory is down'))],
    ['a truthy answer that is none', () => 'yes'],
  ])('%s permits nothing, and does not refuse for good', async (_what, answer) => {
    let isDown = true;
    const authorize = () => (isDown ? answer() : true) as boolean;
    await using chain = await Chain.create({ nodes: 2, authorize });
    const { client } = chain.bareClient(0);
    for (const { rpc } of [client.docs.get, client.docs.invalidate])
      expect(await rpc({ key: 'a' })).toMatchObject({ ok: false, payload: { code: 'UNCAUGHT_ERROR' } });
    await chain.settled();
    expect([chain.leaf.state, chain.loads]).toEqual(['connecting', 0]);
    isDown = false;
    await chain.advance(60_000);
    expect(chain.leaf.state).toBe('live');
  });

  test('a hop that was refused does not ask again, however long it lives', async () => {
    const questions: string[] = [];
    await using chain = await Chain.create({
      nodes: 2,
      relays: { resyncMs: 10_000 },
      authorize: ({ action }) => {
        questions.push(action);
        return action !== 'changes';
      },
    });
    await chain.advance(60_000);
    expect([chain.leaf.state, questions]).toEqual(['refused', ['changes']]);
    expect([await chain.leaf.get('a'), await chain.leaf.get('a'), chain.leaf.stats.hits]).toEqual([
      { n: 0 },
      { n: 0 },
      0,
    ]);
  });

  test('a permission to follow that is taken back ends it: nothing that was held is served any more', async () => {
    const role = new AbortController();
    const held = new Map<string, Doc>();
    await using chain = await Chain.create({
      nodes: 3,
      storeOf: (index) => (index === 1 ? held : undefined),
      authorize: ({ action }) => (action === 'changes' ? { revoked: role.signal } : true),
    });
    await chain.leaf.get('a');
    expect(held.size).toBe(1);
    role.abort();
    await chain.settled();
    expect(held.size).toBe(0);
    expect(chain.node(1).cache.state).toBe('refused');
    expect(chain.leaf.state).not.toBe('live');
    chain.write('a', 1);
    expect(await chain.leaf.get('a')).toEqual({ n: 0 }); // the owner's own, which was told nothing
    expect(chain.node(1).cache.stats.fetches).toBe(2);
    await chain.owner.invalidate('a');
    expect(await chain.leaf.get('a')).toEqual({ n: 1 });
    await expect(chain.node(1).cache.invalidate('a')).rejects.toMatchObject({
      code: 'CACHE_UNCONFIRMED',
      cause: { code: 'NOT_AUTHORIZED' },
    });
  });

  test('a program without a cache may get, invalidate and follow some keys', async () => {
    const questions: string[] = [];
    await using chain = await Chain.create({ nodes: 2, authorize: ask(questions) });
    const { client } = chain.bareClient(1);
    expect(await client.docs.get.rpc({ key: 'a' })).toEqual({ ok: true, payload: { value: { n: 0 } } });
    const { resReadable } = client.docs.changes.subscribe({ keys: ['b'] });
    const heard: unknown[] = [];
    const reading = (async () => {
      for await (const message of resReadable) heard.push(message.ok ? message.payload : message.payload.code);
    })();
    await chain.settled();
    await chain.owner.invalidate('a');
    const answer = await client.docs.invalidate.rpc({ key: 'b' });
    expect(answer).toEqual({ ok: true, payload: { position: chain.owner.position } });
    await chain.settled();
    expect(heard.slice(0, 2)).toMatchObject([{ type: 'ready' }, { type: 'events', through: 2 }]);
    expect(questions).toContain('changes b');
    resReadable.break();
    await reading;
  });
});
