import { expect, test } from 'vitest';
import { JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { decodedSize } from '../../transport/session/decodedSize.ts';
import { bytesKeptBy } from '../attacks/support/memory.ts';

const COUNT = 50_000;
const many = <T>(make: (index: number) => T): T[] => Array.from({ length: COUNT }, (_, index) => make(index));
const nameOf = (index: number): string => `k${index.toString(36)}`;

const shapes: readonly [what: string, value: unknown, most: number][] = [
  ['empty maps', many(() => ({})), 12],
  ['empty arrays', many(() => []), 12],
  ['arrays of one', many(() => [0]), 12],
  ['arrays in arrays', many(() => [[0]]), 12],
  ['maps of one', many(() => ({ a: 0 })), 12],
  ['maps, each with a name of its own', many((index) => ({ [nameOf(index)]: 0 })), 24],
  ['a map of many names', Object.fromEntries(many((index) => [nameOf(index), 0])), 16],
  ['empty bytes', many(() => new Uint8Array(0)), 12],
  ['a byte each', many(() => new Uint8Array(1)), 12],
  ['dates', many((index) => new Date(index * 1_000)), 12],
  ['bigints', many(() => 5n), 12],
  ['small numbers', many(() => 7), 16],
  ['short texts', many((index) => nameOf(index % 60)), 16],
  ['rows', many((id) => ({ id, name: `name ${id}`, isActive: true })), 12],
];

test.each(shapes)('the memory of %s is bounded by what they count for', async (_, value, most) => {
  for (const codec of [MsgpackCodec, JsonCodec]) {
    const bytes = codec.toBuffer(value);
    const counted = Math.max(bytes.length, decodedSize(codec.fromBuffer(bytes)));
    const taken = await bytesKeptBy(() => codec.fromBuffer(bytes));
    expect(taken / counted).toBeLessThan(most);
  }
});

test('a message of texts and numbers counts for its bytes', () => {
  const payload = { n: 123_456, s: 'sixteen letters.', rows: [{ id: 7, name: 'somebody', tags: ['a', 'b'] }] };
  expect(decodedSize(payload)).toBeLessThan(MsgpackCodec.toBuffer(payload).length);
  expect([undefined, null, true, 1.5, 'x'.repeat(1_000)].map(decodedSize)).toEqual([0, 0, 0, 0, 0]);
});

test('what a codec of an application nests however deeply has a size, too', () => {
  let nested: unknown[] = [];
  for (let depth = 0; depth < 100_000; depth++) nested = [nested];
  expect(decodedSize(nested)).toBeLessThan(1_000);
});
