import { expect, test } from 'vitest';
import { systemClock } from '../../transport/clock.ts';
import { MemoryConnection } from '../../transport/impls/memory/network.ts';

test('who receives a frame may do with its memory what it likes: the sender has its own', async () => {
  const [near, far] = MemoryConnection.pair(systemClock, () => undefined);
  const arrived = new Promise<Uint8Array>((resolve) => {
    far.attach({ onData: resolve, onClose: () => undefined });
  });
  const frame = Uint8Array.of(1, 2, 3);
  near.send(frame);
  const received = await arrived;
  expect(received).toEqual(frame);
  // As if it went to a worker.
  structuredClone(received, { transfer: [received.buffer as ArrayBuffer] }); // it is no SharedArrayBuffer
  expect(received).toHaveLength(0);
  expect(frame).toEqual(Uint8Array.of(1, 2, 3));
  near.cut();
});
