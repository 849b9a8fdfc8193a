import { expect, test } from 'vitest';
import { createEngine } from '../../consume/engine.ts';
import { MemoryCheckpointStore } from '../../consume/memoryStore.ts';
import type { EventSource } from '../../watch/source.ts';
import { liveBytes } from '../attacks/support/memory.ts';

test.each([
  ['transactional', undefined],
  ['asynchronous', 'at-least-once'],
] as const)(
  'catching up with a million events holds no more than catching up with a few: %s',
  async (_name, effects) => {
    const length = 1_000_000;
    let largest = 0;
    const held: number[] = [];
    const source: EventSource<number> = {
      head: () => ({ epoch: 'e1', offset: length }),
      read: async (after, limit) => {
        const from = after?.offset ?? 0;
        if (from % 200_000 === 100_000) held.push(await liveBytes());
        largest = Math.max(largest, limit);
        const count = Math.min(limit, length - from);
        const events = Array.from({ length: count }, (_, i) => ({
          position: { epoch: 'e1', offset: from + i + 1 },
          event: i,
        }));
        return { kind: 'events', events };
      },
      onAppend: () => () => undefined,
    };
    let handled = 0;
    const handle = (): undefined => {
      handled += 1;
    };
    const consumer = effects === undefined ? { id: 'a', handle } : { id: 'a', effects, handle };
    const engine = createEngine({ source, store: new MemoryCheckpointStore(), consumers: [consumer] });
    expect(await engine.boot()).toEqual({ outcome: 'done', handled: length });
    await engine.close();
    expect(handled).toBe(length);
    expect(largest).toBe(500);
    expect(held).toHaveLength(5);
    // 800 000 events lie between the first look and the last; one byte for each would be noticed.
    expect((held[4] ?? 0) - (held[0] ?? 0)).toBeLessThan(800_000);
  },
  60_000,
);
