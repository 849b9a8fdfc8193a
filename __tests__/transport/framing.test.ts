import { describe, expect, test } from 'vitest';
import { FrameReader } from '../../transport/impls/unix/framing.ts';
import { withLength } from '../support/withLength.ts';

const frame = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

function readIn(bytes: Uint8Array, chunkLength: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const reader = new FrameReader(1024 * 1024, (read) => frames.push(read.slice()));
  for (let at = 0; at < bytes.length; at += chunkLength) reader.push(bytes.slice(at, at + chunkLength));
  return frames;
}

describe('frames on a byte stream', () => {
  test.each([1, 2, 3, 5, 64, 1_000, 70_000])(
    'come whole and in order, however they are cut: %s bytes at a time',
    (chunk) => {
      const frames = [0, 1, 4, 5, 300, 70_000, 2].map(frame);
      const bytes = Uint8Array.from(frames.flatMap((one) => [...withLength(one)]));
      expect(readIn(bytes, chunk)).toEqual(frames);
    },
  );

  test('cost no object a byte where they come a byte at a time', () => {
    const reader = new FrameReader(1024 * 1024, () => undefined);
    reader.push(new Uint8Array([0, 0x0f, 0xff, 0xff]));
    const one = new Uint8Array([7]);
    for (let i = 0; i < 400_000; i++) reader.push(one.slice());
    expect(reader.chunkCount).toBeLessThan(40);
  });
});
