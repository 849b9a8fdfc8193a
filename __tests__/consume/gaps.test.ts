import { describe, expect, test } from 'vitest';
import type { GapPolicy, TransactionalConsumer } from '../../consume/consumer.ts';
import { SourceError } from '../../consume/errors.ts';
import { MemoryCheckpointStore, type MemoryTransaction } from '../../consume/memoryStore.ts';
import { AsyncMemorySource, MemorySource } from './support/memorySource.ts';
import { Stage } from './support/stage.ts';

/** What a projection is: what it has seen since it last started over. */
class Projection implements TransactionalConsumer<string, MemoryTransaction> {
  readonly id: string;
  readonly onGap: GapPolicy | undefined;
  seen: string[] = [];
  resets = 0;

  constructor(onGap?: GapPolicy, id = 'projection') {
    this.id = id;
    this.onGap = onGap;
  }

  readonly handle = (event: string): void => void this.seen.push(event);

  readonly reset = (): void => {
    this.resets += 1;
    this.seen = [];
  };
}

/** Ways to miss something, each after 'a', 'b' and 'c' were handled with room for three events. */
const losses: [string, (source: MemorySource<string>) => void][] = [
  ['the history moved on', (source) => void source.append('d', 'e', 'f', 'g')],
  [
    'the source restarted with another history',
    (source) => {
      source.restart('e2');
      source.append('e', 'f', 'g');
    },
  ],
  [
    'the source restarted, and has come further than before',
    (source) => {
      source.restart('e2');
      source.append('x', 'y', 'e', 'f', 'g');
    },
  ],
];

describe.each(losses)('%s', (_name, lose) => {
  async function missed(stage: Stage, policy: GapPolicy | undefined) {
    const source = new AsyncMemorySource<string>(3);
    const projection = new Projection(policy);
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [projection] });
    await engine.boot();
    source.append('a', 'b', 'c');
    await engine.run();
    lose(source);
    await engine.run();
    const [record] = await engine.status();
    return { source, projection, engine, record };
  }

  test.each([undefined, 'error'] as const)(
    'onGap %s: it stops, says so, and is not retried by itself',
    async (policy) => {
      await using stage = new Stage();
      const { record, projection, engine, source } = await missed(stage, policy);
      expect(record).toMatchObject({
        status: 'error',
        before: 'active',
        gaps: 1,
        position: { epoch: 'e1', offset: 3 },
      });
      expect(record?.error).toMatchObject({ code: 'GAP', retryAt: undefined });
      expect(record?.lastGap).toMatchObject({
        policy: 'error',
        from: { epoch: 'e1', offset: 3 },
        head: source.position,
      });
      expect(stage.faults).toHaveLength(1);
      await stage.advance(10_000_000);
      await engine.run();
      expect(projection.seen).toEqual(['a', 'b', 'c']);
      await engine.reactivate('projection');
      await engine.run();
      expect((await engine.status())[0]).toMatchObject({ status: 'error', gaps: 2 });
    },
  );

  test('onGap restart: it is reset and gets everything there is', async () => {
    await using stage = new Stage();
    const { record, projection, source } = await missed(stage, 'restart');
    expect(projection).toMatchObject({ resets: 1, seen: ['e', 'f', 'g'] });
    expect(record).toMatchObject({ status: 'active', gaps: 1, generation: 1, position: source.position });
  });

  test('onGap skip-to-oldest: it goes on with the oldest there is, and that is recorded', async () => {
    await using stage = new Stage();
    const { record, projection, source } = await missed(stage, 'skip-to-oldest');
    expect(projection).toMatchObject({ resets: 0, seen: ['a', 'b', 'c', 'e', 'f', 'g'] });
    expect(record).toMatchObject({
      status: 'active',
      gaps: 1,
      lastGap: { policy: 'skip-to-oldest' },
      position: source.position,
    });
  });

  test('onGap skip-to-head: it goes on with what comes next', async () => {
    await using stage = new Stage();
    const { record, projection, source, engine } = await missed(stage, 'skip-to-head');
    expect(projection.seen).toEqual(['a', 'b', 'c']);
    expect(record).toMatchObject({
      status: 'active',
      gaps: 1,
      lastGap: { policy: 'skip-to-head' },
      position: source.position,
    });
    source.append('h');
    await engine.run();
    expect(projection.seen).toEqual(['a', 'b', 'c', 'h']);
  });
});

test('a history that was rolled back under a consumer is a gap, although nothing is new', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [new Projection()] });
  source.append('a', 'b', 'c');
  await engine.boot();
  source.rollBackTo(2);
  await engine.run();
  expect((await engine.status())[0]).toMatchObject({ status: 'error', error: { code: 'GAP' } });
  expect((await engine.status())[0]?.error?.message).toContain('the history ends at 2');
});

test.each(['skip-to-oldest', 'skip-to-head'] as const)(
  'onGap %s: in a history that was rolled back nothing is handled twice',
  async (policy) => {
    await using stage = new Stage();
    const source = new MemorySource<string>();
    const projection = new Projection(policy);
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [projection] });
    source.append('a', 'b', 'c');
    await engine.boot();
    source.rollBackTo(2);
    await engine.run();
    source.append('d');
    await engine.run();
    expect(projection.seen).toEqual(['a', 'b', 'c', 'd']);
    expect((await engine.status())[0]).toMatchObject({ status: 'active', gaps: 1, position: { offset: 3 } });
  },
);

test('a history that is another one by the time it is read is followed to its own head', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const projection = new Projection('skip-to-oldest');
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [projection], batchSize: 1 });
  source.append('a');
  await engine.boot();
  source.append('b', 'c', 'd', 'e');
  const read = source.read.bind(source);
  source.read = (...args) => {
    source.read = read;
    source.restart('e2');
    source.append('x', 'y');
    return read(...args);
  };
  expect(await engine.run()).toEqual({ outcome: 'done', handled: 2 });
  expect(projection.seen).toEqual(['a', 'x', 'y']);
  expect((await engine.status())[0]).toMatchObject({ status: 'active', gaps: 1, position: { epoch: 'e2', offset: 2 } });
});

test('a consumer that begins at the start of a history that has lost its start is told so', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>(2);
  source.append('a', 'b', 'c');
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [new Projection()] });
  await engine.boot();
  expect((await engine.status())[0]).toMatchObject({ status: 'error', before: 'booting', error: { code: 'GAP' } });
  expect((await engine.status())[0]?.error?.message).toContain('the history begins after 1');
});

test('a history that has nothing yet restarts a consumer, too', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const projection = new Projection('restart');
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [projection] });
  source.append('a');
  await engine.boot();
  source.restart('e2');
  await engine.run();
  expect(projection).toMatchObject({ resets: 1, seen: [] });
  expect((await engine.status())[0]).toMatchObject({ status: 'active', position: { epoch: 'e2', offset: 0 } });
});

test('of consumers that share a read, only those that missed something have missed it', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>(3);
  const store = new MemoryCheckpointStore();
  const seen: string[] = [];
  const ahead = { id: 'ahead', handle: (event: string): void => void seen.push(event) };
  source.append('a');
  const engine = stage.engine({ source, store, consumers: [new Projection('skip-to-oldest'), ahead] });
  await engine.boot();
  await engine.pause('projection');
  source.append('b', 'c', 'd');
  await engine.run();
  await engine.reactivate('projection');
  source.append('e', 'f');
  await engine.run();
  expect((await engine.status()).map(({ id, gaps }) => [id, gaps])).toEqual([
    ['ahead', 0],
    ['projection', 1],
  ]);
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
});

test('consumers in different histories each get what is theirs, whichever offset is higher', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const seen: string[] = [];
  const current = { id: 'a', onGap: 'restart' as const, handle: (event: string): void => void seen.push(event) };
  const old = new Projection('restart');
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [current, old] });
  source.append('1', '2');
  await engine.boot();
  await engine.pause('projection');
  source.restart('e2');
  source.append('3', '4', '5');
  await engine.run();
  await engine.reactivate('projection');
  source.append('6');
  await engine.run();
  expect(seen).toEqual(['1', '2', '3', '4', '5', '6']);
  expect(old).toMatchObject({ resets: 1, seen: ['3', '4', '5', '6'] });
  expect((await engine.status()).map(({ gaps }) => gaps)).toEqual([1, 1]);
});

test('who was in another history gets nothing of this one before its gap, though its offset is between', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const [first, second] = [new Projection('skip-to-oldest', 'a'), new Projection('error', 'b')];
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [first, second] });
  source.append('a', 'b');
  await engine.boot();
  await engine.pause('b');
  source.restart('e2');
  await engine.run();
  source.append('1', '2', '3', '4');
  await engine.reactivate('b');
  await engine.run();
  expect([first.seen, second.seen]).toEqual([
    ['a', 'b', '1', '2', '3', '4'],
    ['a', 'b'],
  ]);
  expect((await engine.status())[1]).toMatchObject({ status: 'error', gaps: 1, position: { epoch: 'e1', offset: 2 } });
});

test('a reset that throws is retried; the gap is not taken for handled', async () => {
  await using stage = new Stage();
  const source = new MemorySource<string>();
  const projection = new Projection('restart');
  let isBroken = true;
  const reset = () => {
    if (isBroken) throw new Error('no reset');
    projection.reset();
  };
  const consumer = { id: 'p', onGap: 'restart' as const, handle: projection.handle, reset };
  const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
  source.append('a');
  await engine.boot();
  source.restart('e2');
  source.append('b');
  await engine.run();
  expect((await engine.status())[0]).toMatchObject({
    status: 'error',
    position: { epoch: 'e1', offset: 1 },
    error: { code: 'RESET', message: 'no reset' },
  });
  isBroken = false;
  await stage.advance(1_000);
  await engine.run();
  expect(projection).toMatchObject({ resets: 1, seen: ['b'] });
});

describe('a source that answers what no source may answer with ends the run, and moves nobody', () => {
  test.each<[string, (source: MemorySource<string>) => void]>([
    [
      'no events before its head',
      (source) => {
        source.read = () => ({ kind: 'events', events: [] });
      },
    ],
    [
      'an event twice',
      (source) => {
        const position = { epoch: 'e1', offset: 1 };
        source.read = () => ({
          kind: 'events',
          events: [
            { position, event: 'a' },
            { position, event: 'a' },
          ],
        });
      },
    ],
    [
      'an event of another history',
      (source) => {
        source.read = () => ({ kind: 'events', events: [{ position: { epoch: 'e2', offset: 1 }, event: 'a' }] });
      },
    ],
    [
      'an error',
      (source) => {
        source.read = () => Promise.reject(new Error('offline'));
      },
    ],
    [
      'an error for its head',
      (source) => {
        source.head = () => {
          throw new Error('offline');
        };
      },
    ],
  ])('%s', async (_name, spoil) => {
    await using stage = new Stage();
    const source = new MemorySource<string>();
    const projection = new Projection();
    const engine = stage.engine({ source, store: new MemoryCheckpointStore(), consumers: [projection] });
    await engine.boot();
    source.append('a', 'b');
    const { head, read } = source;
    spoil(source);
    await expect(engine.run()).rejects.toThrow(SourceError);
    expect(projection.seen).toEqual([]);
    engine.follow();
    await stage.advance(10_000);
    expect(stage.faults.length).toBeGreaterThan(2);
    Object.assign(source, { head, read });
    await stage.advance(60_000);
    expect(projection.seen).toEqual(['a', 'b']);
  });
});
