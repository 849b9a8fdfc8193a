import { describe, expect, test } from 'vitest';
import type { DeltaMode } from '../../watch/watch.ts';
import { type KeyWatchers, watchKeys } from '../../watch/watchKeys.ts';
import { type DocEvent, type ServedDocs, serveDocs } from './support/served.ts';

/** Each key's value is the list of its numbers; the loads know them all. */
function deltas(served: ServedDocs, key: string): DeltaMode<DocEvent, number[]> {
  return {
    load: () => {
      const head = served.topic.head();
      const outcome = served.topic.read(undefined, 1000);
      const events = outcome.kind === 'events' ? outcome.events : [];
      return { value: events.filter(({ event }) => event.key === key).map(({ event }) => event.n), position: head };
    },
    apply: (value, { n }) => [...value, n],
    resyncMs: Number.POSITIVE_INFINITY,
  };
}

async function setup(options: Parameters<typeof serveDocs>[0] = {}) {
  const asked: (readonly string[] | undefined)[] = [];
  const served = await serveDocs({
    authorize: ({ keys }) => {
      asked.push(keys);
      return true;
    },
    ...options,
  });
  const { client, transport } = served.client();
  const group: KeyWatchers<DocEvent> = watchKeys(client.docs.changes, { key: ({ key }) => key, clock: served.h.clock });
  const add = (key: string) => group.watch(key, deltas(served, key));
  const end = async () => {
    group.dispose();
    await served.h.settled();
    expect(served.server.openCalls).toBe(0);
    await served.stop();
    await served.h[Symbol.asyncDispose]();
  };
  return { served, asked, group, add, end, transport };
}

describe('watches of single keys', () => {
  test('share one subscription, and each hears of its own', async () => {
    const { served, asked, add, end } = await setup();
    const [a, b, again] = [add('a'), add('b'), add('a')];
    await served.h.settled();
    expect(asked).toEqual([['a', 'b']]);
    expect(served.server.openCalls).toBe(1);
    served.publish(1, 'a');
    served.publish(2, 'b');
    served.publish(3, 'c');
    await served.h.settled();
    expect([a.value, b.value, again.value]).toEqual([[1], [2], [1]]);
    expect([a.stats.loads, a.stats.events, b.stats.events]).toEqual([1, 1, 1]);
    await end();
  });

  test('come and go without a loss to the others', async () => {
    const { served, asked, add, end } = await setup();
    const a = add('a');
    await served.h.settled();
    for (let n = 1; n <= 30; n++) {
      served.publish(n, 'a');
      const other = add(`other ${n}`);
      served.publish(100 + n, 'a');
      await served.h.settled();
      served.publish(200 + n, 'a');
      other.dispose();
      served.publish(300 + n, `other ${n}`);
    }
    await served.h.settled();
    expect(a.value).toEqual(Array.from({ length: 30 }, (_, i) => [i + 1, i + 101, i + 201]).flat());
    expect([a.stats.loads, a.stats.resets, a.state]).toEqual([1, 0, 'live']);
    expect(asked.length).toBeGreaterThan(30);
    expect(asked.at(-1)).toEqual(['a']);
    await end();
  });

  test.each([1, 4])(
    'come and go faster than a server answers, and what it says in between is heard, %s at a time',
    async (batch) => {
      const answers: (() => void)[] = [];
      const authorize = () => new Promise<boolean>((resolve) => answers.push(() => resolve(true)));
      const { served, add, end } = await setup({ authorize, batch });
      const answer = async () => {
        for (const permit of answers.splice(0)) permit();
        await served.h.settled();
      };
      const a = add('a');
      await served.h.settled();
      await answer();
      const others = [];
      const lags: number[] = [];
      for (let n = 1; n <= 20; n++) {
        for (let i = 0; i < 4; i++) served.publish(4 * n + i, 'a');
        // Before each answer keys have changed once more.
        others.push(add(`other ${n}`));
        others[n - 3]?.dispose();
        const asked = answers.splice(0);
        await served.h.settled();
        for (const permit of asked) permit();
        await served.h.settled();
        lags.push(n - (a.value?.length ?? 0) / 4);
      }
      expect(Math.max(...lags)).toBeLessThan(4);
      while (answers.length > 0) await answer();
      expect(a.value).toEqual(Array.from({ length: 80 }, (_, i) => i + 4));
      expect(others.map(({ state }) => state)).toEqual([...Array(18).fill('closed'), 'live', 'live']);
      expect([a.stats.loads, a.stats.resets, a.state]).toEqual([1, 0, 'live']);
      await end();
    },
  );

  test('that are added while events pass have all of their own', async () => {
    const { served, add, end } = await setup();
    add('a');
    await served.h.settled();
    served.publish(1, 'b');
    const b = add('b');
    served.publish(2, 'b');
    await served.h.settled();
    served.publish(3, 'b');
    await served.h.settled();
    expect([b.value, b.state, b.position]).toEqual([[1, 2, 3], 'live', served.topic.head()]);
    const late = add('b');
    await served.h.settled();
    served.publish(4, 'b');
    await served.h.settled();
    expect([b.value, late.value]).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
    await end();
  });

  test('end the subscription when the last one goes, and begin another when one comes', async () => {
    const { served, add, end } = await setup();
    const a = add('a');
    await served.h.settled();
    a.dispose();
    await served.h.settled();
    expect(served.server.openCalls).toBe(0);
    served.publish(1, 'a');
    const again = add('a');
    await served.h.settled();
    expect([again.value, again.state, served.server.openCalls]).toEqual([[1], 'live', 1]);
    await end();
  });

  test('all resync, and hear of what a server that forgot them did not tell, by few subscriptions', async () => {
    const { served, asked, group, end } = await setup();
    const keys = Array.from({ length: 10 }, (_, n) => `key ${n}`);
    const all = keys.map((key) => group.watch(key, { ...deltas(served, key), resyncMs: 20_000 }));
    await served.h.settled();
    served.forgetWatchers();
    for (const [n, key] of keys.entries()) served.publish(n, key);
    await served.h.advance(25_000);
    expect(all.map(({ value }) => value)).toEqual(keys.map((_, n) => [n]));
    for (const { state, stats } of all)
      expect([state, stats.resyncs, stats.loads, stats.resets]).toEqual(['live', 1, 2, 0]);
    expect(asked.length).toBeLessThanOrEqual(3);
    await end();
  });

  test('are all reset by a gap, over one subscription', async () => {
    const { served, add, end, transport } = await setup({ keep: 3 });
    const [a, b] = [add('a'), add('b')];
    await served.h.settled();
    transport.hardDisconnect();
    for (let n = 1; n <= 10; n++) served.publish(n, 'a');
    await served.h.advance(2_000);
    for (const watched of [a, b]) {
      expect([watched.state, watched.stats.resets, watched.stats.loads, watched.stats.unrecoveredResubscribes]).toEqual(
        ['live', 1, 2, 1],
      );
    }
    expect(served.server.openCalls).toBe(1);
    await end();
  });

  test('are refused together, and cannot be more than a subscription takes', async () => {
    const { served, group, add, end } = await setup({ authorize: ({ keys }) => keys?.includes('secret') !== true });
    const a = add('a');
    await served.h.settled();
    const secret = add('secret');
    await served.h.settled();
    expect([a.state, secret.state]).toEqual(['refused', 'refused']);
    for (let n = 0; n < 1000; n++) add(`key ${n}`);
    expect(() => add('x'.repeat(257))).toThrow('expected a key of at most 256 characters, got 257');
    expect(() => add('one more')).toThrow('expected at most 1000 keys, got one more');
    group.dispose();
    expect(() => add('a')).toThrow('it was closed');
    await end();
  });

  test('are all reset by an event whose key cannot be told', async () => {
    const served = await serveDocs();
    const { client } = served.client();
    const key = ({ key: name }: DocEvent) => {
      if (name === 'b') throw new Error('no key');
      return name;
    };
    const group = watchKeys(client.docs.changes, { key, clock: served.h.clock });
    const [a, b] = [group.watch('a', deltas(served, 'a')), group.watch('b', deltas(served, 'b'))];
    await served.h.settled();
    served.publish(1, 'a');
    served.publish(2, 'b');
    await served.h.settled();
    expect([a.value, a.stats.resets, b.value, b.state]).toEqual([[1], 1, [2], 'live']);
    group.dispose();
    await served.h.settled();
    await served.stop();
    await served.h[Symbol.asyncDispose]();
  });
});
