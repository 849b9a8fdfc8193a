import { describe, expect, test, vi } from 'vitest';
import type { Consumer, TransactionalConsumer } from '../../consume/consumer.ts';
import {
  AsyncEffectError,
  ConsumerStatusError,
  EngineClosedError,
  UnknownConsumerError,
} from '../../consume/errors.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import type { ConsumerRecord } from '../../consume/record.ts';
import { AsyncMemorySource, MemorySource } from './support/memorySource.ts';
import { Stage, settled, storeCases } from './support/stage.ts';

type Numbers = TransactionalConsumer<number, MemoryTransaction>;

/** Collects what it is given, and forgets what is rolled back. */
function collector(id: string, options: Partial<Numbers> = {}): Numbers & { readonly seen: number[] } {
  const seen: number[] = [];
  return {
    id,
    handle: (event, _position, tx) => {
      seen.push(event);
      tx.onRollback(() => seen.pop());
    },
    ...options,
    seen,
  };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

function by(records: readonly ConsumerRecord[], id: string): ConsumerRecord | undefined {
  return records.find((record) => record.id === id);
}

const offsets = (records: readonly ConsumerRecord[]) =>
  Object.fromEntries(records.map(({ id, status, position }) => [id, `${status} ${position?.offset}`]));

describe.each([
  ['synchronous', MemorySource],
  ['asynchronous', AsyncMemorySource],
])('with a source that is %s', (_name, Source) => {
  test('a consumer is discovered by a run, started by boot, and gets every event once, in order', async () => {
    await using stage = new Stage();
    const source = new Source<number>();
    const a = collector('a');
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a], batchSize: 7 });
    source.append(...upTo(20));
    await engine.run();
    expect(offsets(await engine.status())).toEqual({ a: 'new undefined' });
    expect(await engine.boot()).toEqual({ outcome: 'done', handled: 20 });
    expect(offsets(await engine.status())).toEqual({ a: 'active 20' });
    source.append(21, 22);
    expect(await engine.run()).toEqual({ outcome: 'done', handled: 2 });
    expect(a.seen).toEqual(upTo(22));
  });

  test('a consumer that throws at event 5 stops in front of it while another reaches the head', async () => {
    await using stage = new Stage();
    const source = new Source<number>();
    const bad = collector('bad');
    const good = collector('good');
    let isBroken = true;
    const failing: Numbers = {
      ...bad,
      handle: (event, position, tx) => {
        bad.handle(event, position, tx);
        if (event === 5 && isBroken) throw new Error('five');
      },
    };
    const engine = stage.engine({
      source,
      store: new MemoryCheckpointStore(),
      consumers: [failing, good],
      batchSize: 3,
    });
    source.append(...upTo(10));
    await engine.boot();
    expect(bad.seen).toEqual(upTo(4));
    expect(good.seen).toEqual(upTo(10));
    const record = by(await engine.status(), 'bad');
    expect(record).toMatchObject({ status: 'error', before: 'booting', attempt: 1, position: { offset: 4 } });
    expect(record?.error).toMatchObject({ code: 'HANDLER', message: 'five', at: stage.clock.wallNow() });
    expect(stage.faults.map(({ kind, consumer }) => [kind, consumer])).toEqual([['consumer', 'bad']]);
    // Not before it is due.
    await engine.run();
    expect(by(await engine.status(), 'bad')?.attempt).toBe(1);
    await stage.advance(1_000);
    await engine.run();
    expect(by(await engine.status(), 'bad')).toMatchObject({ status: 'error', attempt: 2 });
    isBroken = false;
    await stage.advance(2_000);
    await engine.run();
    expect(bad.seen).toEqual(upTo(10));
    expect(by(await engine.status(), 'bad')).toMatchObject({ status: 'active', attempt: 0, position: { offset: 10 } });
    expect(by(await engine.status(), 'bad')?.error).toBeUndefined();
  });

  test('a run starts at the lowest position, and who is ahead gets nothing twice', async () => {
    await using stage = new Stage();
    const source = new Source<number>();
    const store = new MemoryCheckpointStore();
    const [a, b, c] = [collector('a'), collector('b'), collector('c', { from: 'head' })];
    source.append(...upTo(10));
    const engine = stage.engine({ source, store, consumers: [a, b, c], batchSize: 4 });
    await engine.boot(['a']);
    source.append(11);
    await engine.boot(['c']);
    source.append(12);
    await engine.boot(['b']);
    expect([a.seen, b.seen, c.seen]).toEqual([upTo(12), upTo(12), [12]]);
  });

  test('a thousand triggers during a run cause exactly one more', async () => {
    await using stage = new Stage();
    const source = new Source<number>();
    const a = collector('a');
    let during: Promise<unknown>[] = [];
    const consumer: Numbers = {
      ...a,
      handle: (event, position, tx) => {
        a.handle(event, position, tx);
        if (event === 1) during = upTo(1_000).map(() => engine.run());
      },
    };
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    await engine.boot();
    source.append(1);
    const before = source.heads;
    await engine.run();
    await Promise.all(during);
    await settled();
    expect(during).toHaveLength(1_000);
    expect(source.heads - before).toBe(2);
  });

  test('a trigger during the last moments of a run is not lost', async () => {
    await using stage = new Stage();
    const source = new Source<number>();
    const a = collector('a');
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a] });
    await engine.boot();
    engine.follow();
    for (let n = 1; n <= 50; n++) {
      source.append(n);
      for (let turns = 0; turns < n % 7; turns++) await new Promise((resolve) => setImmediate(resolve));
    }
    await settled();
    expect(a.seen).toEqual(upTo(50));
  });
});

describe('following', () => {
  test('events are handled as they come, failures are retried when due, and stopping leaves nothing', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    let failures = 3;
    const a = collector('a');
    const consumer: Numbers = {
      ...a,
      handle: (event, position, tx) => {
        if (event === 2 && failures-- > 0) throw new Error('not yet');
        a.handle(event, position, tx);
      },
    };
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    await engine.boot();
    const stop = engine.follow();
    const stopToo = engine.follow();
    source.append(1, 2, 3);
    await settled();
    expect(a.seen).toEqual([1]);
    await stage.advance(499);
    expect(by(await engine.status(), 'a')?.attempt).toBe(1);
    await stage.advance(7_000);
    expect(a.seen).toEqual([1, 2, 3]);
    stop();
    stop();
    source.append(4);
    await settled();
    expect(a.seen).toEqual([1, 2, 3, 4]);
    stopToo();
    expect(source.listeners).toBe(0);
    expect(stage.clock.pendingTimers).toBe(0);
    source.append(5);
    await settled();
    expect(a.seen).toEqual([1, 2, 3, 4]);
  });

  test('the wait between attempts doubles up to its ceiling, with jitter, and starts anew after a success', async () => {
    await using stage = new Stage();
    vi.spyOn(stage.clock, 'random').mockReturnValue(0.5);
    const source = new MemorySource<number>();
    const times: number[] = [];
    let isBroken = true;
    const consumer: Numbers = {
      id: 'a',
      handle: () => {
        times.push(stage.clock.now());
        if (isBroken) throw new Error('no');
      },
    };
    const retry = { baseMs: 100, maxMs: 1_000 };
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer], retry });
    await engine.boot();
    engine.follow();
    source.append(1);
    await stage.advance(4_000);
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    // 100, 200, 400, 800, 1 000, 1 000 … of which half, and half of the other half.
    expect(waits).toEqual([75, 150, 300, 600, 750, 750, 750]);
    isBroken = false;
    await stage.advance(750);
    isBroken = true;
    times.length = 0;
    source.append(2);
    await stage.advance(80);
    expect(times).toHaveLength(2);
  });

  test('who is let go on while somebody follows goes on at once', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const seen: number[] = [];
    const consumer = { id: 'a', handle: (event: number) => void seen.push(event) };
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    await engine.boot();
    engine.follow();
    await engine.pause('a');
    source.append(1, 2);
    await settled();
    expect(seen).toEqual([]);
    await engine.reactivate('a');
    await settled();
    expect(seen).toEqual([1, 2]);
    await engine.rebuild('a');
    await settled();
    expect(seen).toEqual([1, 2, 1, 2]);
  });

  test('a failed consumer that is in no engine any more wakes nobody', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const store = new MemoryCheckpointStore();
    const handle = () => {
      throw new Error('no');
    };
    const old = stage.engine({ source, store, consumers: [{ id: 'a', handle }] });
    source.append(1);
    await old.boot();
    await old.close();
    const engine = stage.engine({ source, store, consumers: [collector('b')] });
    await engine.boot();
    engine.follow();
    const { heads } = source;
    await stage.advance(100_000);
    expect(source.heads - heads).toBeLessThanOrEqual(1);
  });

  test('runs that fail are tried again later and later, and after one that did not fail soon again', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [collector('a')] });
    await engine.boot();
    let isBroken = true;
    const head = source.head.bind(source);
    source.head = () => {
      const at = head();
      if (isBroken) throw new Error('no disk');
      return at;
    };
    engine.follow();
    await stage.advance(100_000);
    const { heads } = source;
    await stage.advance(29_000);
    expect(source.heads - heads).toBeLessThanOrEqual(1);
    isBroken = false;
    await stage.advance(60_000);
    isBroken = true;
    source.append(1);
    await settled();
    const { heads: before } = source;
    await stage.advance(1_000);
    expect(source.heads - before).toBe(1);
  });

  test('a consumer that catches up for the first time does not hold up those that follow', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const [a, late] = [collector('a'), collector('late')];
    let lateHad: number | undefined;
    const first: Numbers = {
      ...a,
      handle: (event, position, tx) => {
        if (event === 101) lateHad = late.seen.length;
        a.handle(event, position, tx);
      },
    };
    source.append(...upTo(100));
    const slow: Numbers = {
      ...late,
      handle: (event, position, tx) => {
        late.handle(event, position, tx);
        if (event === 20) source.append(101);
      },
    };
    const engine = stage.engine({
      source,
      store: new MemoryCheckpointStore(),
      consumers: [first, slow],
      batchSize: 10,
    });
    await engine.boot(['a']);
    engine.follow();
    await engine.boot(['late']);
    expect(lateHad).toBe(20);
    await settled();
    expect(late.seen).toEqual(upTo(101));
  });

  test('closing ends everything: whoever waits is told, later calls are refused', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [collector('a')] });
    engine.follow();
    const waiting = engine.reached({ epoch: 'e1', offset: 1 }, { timeoutMs: 1_000 });
    await Promise.all([expect(waiting).rejects.toThrow(EngineClosedError), engine.close()]);
    expect(source.listeners).toBe(0);
    expect(stage.clock.pendingTimers).toBe(0);
    for (const call of [engine.boot(), engine.run(), engine.pause('a'), engine.rebuild('a'), engine.status()]) {
      await expect(call).rejects.toThrow(EngineClosedError);
    }
    expect(() => engine.follow()).toThrow(EngineClosedError);
    await engine.close();
  });

  test('what waited for the source when the engine was closed changes nothing any more', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const store = new MemoryCheckpointStore();
    const engine = stage.engine({ source, store, consumers: [collector('a'), collector('b')] });
    await engine.boot(['b']);
    source.append(1);
    await engine.run();
    const before = [store.load('default', 'a'), store.load('default', 'b')];
    const answers: (() => void)[] = [];
    const { position } = source;
    source.head = () => new Promise((resolve) => answers.push(() => resolve(position)));
    const waiting = [engine.boot(), engine.rebuild('b')].map((call) => expect(call).rejects.toThrow(EngineClosedError));
    await engine.close();
    for (const answer of answers) answer();
    await Promise.all(waiting);
    expect([store.load('default', 'a'), store.load('default', 'b')]).toEqual(before);
  });

  test('a source that refuses to be listened to is followed once it lets itself', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const seen: number[] = [];
    const consumer = { id: 'a', handle: (event: number) => void seen.push(event) };
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    await engine.boot();
    const listen = source.onAppend.bind(source);
    source.onAppend = () => {
      throw new Error('closed');
    };
    expect(() => engine.follow()).toThrow('closed');
    source.onAppend = listen;
    const stop = engine.follow();
    source.append(1);
    await settled();
    expect([seen, source.listeners]).toEqual([[1], 1]);
    stop();
    expect(source.listeners).toBe(0);
  });

  test('a source that does not answer keeps nobody from closing', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [collector('a')] });
    await engine.boot();
    source.append(1);
    source.read = () => new Promise(() => undefined);
    const run = engine.run();
    await settled();
    await engine.close();
    expect((await run).outcome).toBe('closed');
  });
});

describe('statuses', () => {
  test('a paused consumer gets nothing until it is reactivated', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const a = collector('a');
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a] });
    await engine.boot();
    await engine.pause('a');
    await engine.pause('a');
    source.append(1);
    await engine.run();
    expect(by(await engine.status(), 'a')).toMatchObject({ status: 'paused', before: 'active' });
    expect(a.seen).toEqual([]);
    await engine.reactivate('a');
    await engine.run();
    expect(a.seen).toEqual([1]);
  });

  test('pausing in the middle of a run takes effect with the next batch', async () => {
    await using stage = new Stage();
    const source = new AsyncMemorySource<number>();
    const [a, b] = [collector('a'), collector('b')];
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a, b], batchSize: 5 });
    await engine.boot();
    source.append(...upTo(100));
    const run = engine.run();
    while (a.seen.length < 20) await new Promise((resolve) => setImmediate(resolve));
    await engine.pause('a');
    await run;
    expect(a.seen.length).toBeLessThan(30);
    expect(by(await engine.status(), 'a')).toMatchObject({ status: 'paused', position: { offset: a.seen.length } });
    expect(b.seen).toEqual(upTo(100));
  });

  test.each(['pause', 'rebuild', 'remove'] as const)(
    '%s while a batch is read takes effect before that batch is handled',
    async (call) => {
      await using stage = new Stage();
      const source = new MemorySource<number>();
      const a = collector('a');
      const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a] });
      source.append(1, 2);
      await engine.boot();
      source.append(3);
      const read = source.read.bind(source);
      source.read = async (after, limit) => {
        source.read = read;
        const outcome = await read(after, limit);
        await engine[call]('a');
        return outcome;
      };
      await engine.run();
      expect(a.seen).toEqual(call === 'rebuild' ? [1, 2, 1, 2, 3] : [1, 2]);
    },
  );

  test('a consumer to the head is finished there, until it is reactivated or rebuilt', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const a = collector('a', { mode: 'to-head' });
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a] });
    source.append(1, 2);
    await engine.boot();
    source.append(3);
    await engine.run();
    expect(offsets(await engine.status())).toEqual({ a: 'finished 2' });
    await expect(engine.pause('a')).rejects.toThrow(ConsumerStatusError);
    await engine.reactivate('a');
    await engine.run();
    expect(offsets(await engine.status())).toEqual({ a: 'finished 3' });
    await engine.rebuild('a');
    await engine.run();
    expect(a.seen).toEqual([1, 2, 3, 1, 2, 3]);
    expect(offsets(await engine.status())).toEqual({ a: 'finished 3' });
  });

  test('a record without a consumer is detached, keeps its position, and comes back as it was', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const store = new MemoryCheckpointStore();
    const [a, b, c] = [
      collector('a'),
      collector('b'),
      collector('c', {
        handle: () => {
          throw new Error('no');
        },
      }),
    ];
    source.append(1, 2);
    const first = stage.engine({ source, store, consumers: [a, b, c] });
    await first.boot();
    await first.pause('b');
    const second = stage.engine({ source, store, consumers: [] });
    source.append(3);
    await second.run();
    expect(offsets(await second.status())).toEqual({ a: 'detached 2', b: 'detached 2', c: 'detached 0' });
    expect((await second.status()).map(({ before }) => before)).toEqual(['active', 'paused', 'error']);
    await expect(second.reactivate('a')).rejects.toThrow(UnknownConsumerError);
    await first.run();
    expect(offsets(await first.status())).toEqual({ a: 'active 3', b: 'paused 2', c: 'error 0' });
    await second.run();
    await second.remove('c');
    expect(Object.keys(offsets(await second.status()))).toEqual(['a', 'b']);
    await expect(second.remove('c')).rejects.toThrow(UnknownConsumerError);
  });

  test('rebuilding resets and starts over in one transaction; a reset that throws changes nothing', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    let isBroken = true;
    const a = collector('a', {
      reset: (tx) => {
        const old = a.seen.splice(0);
        tx.onRollback(() => a.seen.push(...old));
        if (isBroken) throw new Error('no reset');
      },
    });
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [a] });
    source.append(1, 2, 3);
    await engine.boot();
    await expect(engine.rebuild('a')).rejects.toThrow('no reset');
    expect(a.seen).toEqual([1, 2, 3]);
    expect(offsets(await engine.status())).toEqual({ a: 'active 3' });
    isBroken = false;
    await engine.rebuild('a');
    expect(a.seen).toEqual([]);
    expect(offsets(await engine.status())).toEqual({ a: 'booting 0' });
    await engine.run();
    expect(a.seen).toEqual([1, 2, 3]);
  });

  test.each(['pause', 'reactivate', 'rebuild', 'remove'] as const)(
    '%s of what is not there names what is',
    async (call) => {
      await using stage = new Stage();
      const source = new MemorySource<number>();
      const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [collector('a')] });
      await expect(engine[call]('b')).rejects.toThrow("expected the id of a consumer (a), got 'b'");
    },
  );
});

describe('transactional handlers', () => {
  test('a promise is an error of types, is refused, and what was done before it is rolled back', async () => {
    await using stage = new Stage();
    const source = new MemorySource<number>();
    const seen: number[] = [];
    const consumer = {
      id: 'a',
      handle: async (event: number, _position: unknown, tx: MemoryTransaction) => {
        seen.push(event);
        tx.onRollback(() => seen.pop());
        throw new Error('after an await');
      },
    };
    // @ts-expect-error the handler returns a promise
    const typed: Numbers = consumer;
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [typed] });
    source.append(1);
    await engine.boot();
    expect(seen).toEqual([]);
    expect(by(await engine.status(), 'a')).toMatchObject({ status: 'error', position: { offset: 0 } });
    expect(stage.faults[0]?.error).toBeInstanceOf(AsyncEffectError);
  });

  test.each(storeCases)(
    'effects and position are together after a failure in the middle of a batch: $name',
    async ({ open }) => {
      await using stage = new Stage();
      using under = open();
      const source = new MemorySource<number>();
      const consumer: Consumer<number, unknown> = {
        id: 'a',
        handle: (event) => {
          under.effect(String(event));
          if (event === 5) throw new Error('five');
        },
      };
      const engine = stage.engine({ source, store: under.store, consumers: [consumer] });
      source.append(...upTo(9));
      await engine.boot();
      await engine.close();
      expect(under.reopened().load('default', 'a')).toMatchObject({ status: 'error', position: { offset: 4 } });
      expect(under.effects()).toEqual(['1', '2', '3', '4']);
    },
  );
});
