import { expect, test } from 'vitest';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import { createMirror } from '../../watch/mirror.ts';
import type { Position } from '../../watch/position.ts';
import { MemorySource } from './support/memorySource.ts';
import { Stage, settled } from './support/stage.ts';

const at = (offset: number): Position => ({ epoch: 'E', offset });
const event = (offset: number) => ({ position: at(offset), event: offset });

test('who is ahead of what is passed stays where it is', async () => {
  await using stage = new Stage();
  const source = new MemorySource<number>();
  const store = new MemoryCheckpointStore();
  const seen: Record<string, number[]> = { ahead: [], behind: [] };
  const consumer = (id: string) => ({ id, handle: (n: number) => void seen[id]?.push(n) });
  const engine = stage.engine({ source, store, consumers: [consumer('ahead'), consumer('behind')] });
  source.append(1, 2);
  await engine.boot();
  const record = store.load('default', 'behind');
  if (record === undefined) throw new Error('expected a record');
  store.save('default', { ...record, position: { epoch: 'e1', offset: 0 } });
  source.append(3, 4);
  const read = source.read.bind(source);
  source.read = (after, limit) =>
    after?.offset === 0 ? { kind: 'events', events: [], through: { epoch: 'e1', offset: 1 } } : read(after, limit);
  await engine.run();
  expect(seen).toEqual({ ahead: [1, 2, 3, 4], behind: [1, 2, 2, 3, 4] });
});

test('positions without an event, which somebody filtered, are passed', async () => {
  await using stage = new Stage();
  const mirror = createMirror<number>({ clock: stage.clock });
  mirror.reset(at(0));
  mirror.append([event(2), event(4)], at(7));
  const seen: number[] = [];
  const store = new MemoryCheckpointStore();
  const engine = stage.engine({
    source: mirror,
    store,
    consumers: [
      { id: 'a', handle: (n) => void seen.push(n) },
      { id: 'slow', effects: 'at-least-once', handle: () => settled() },
    ],
    batchSize: 1,
  });
  expect(await engine.boot()).toEqual({ outcome: 'done', handled: 4 });
  expect(await engine.status()).toMatchObject([
    { id: 'a', status: 'active', position: at(7) },
    { id: 'slow', status: 'active', position: at(7) },
  ]);
  engine.follow();
  mirror.append([], at(9));
  await engine.reached(at(9), { timeoutMs: 1_000 });
  mirror.append([event(10)], at(10));
  await engine.reached(at(10), { timeoutMs: 1_000 });
  expect(seen).toEqual([2, 4, 10]);
  await engine.close();
  mirror.close();
});
