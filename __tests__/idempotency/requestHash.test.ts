import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { canonicalText, requestHash } from '../../router/requestHash.ts';
import { sha256 } from '../../router/sha256.ts';
import { Random } from '../../testUtil/sim/engine/random.ts';

const nodes = (text: string) => createHash('sha256').update(text).digest('hex');

describe('SHA-256', () => {
  test('is what Node says it is, for texts of every length around the ends of blocks', () => {
    for (let length = 0; length <= 260; length++) {
      const text = 'a'.repeat(length);
      expect(sha256(text)).toBe(nodes(text));
    }
    for (const text of ['é', '€'.repeat(21), '😀'.repeat(16), '\0', '\u2028', 'x'.repeat(1_000_003)])
      expect(sha256(text)).toBe(nodes(text));
  });
});

/** No two of them are equal. */
const different: unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.1,
  1e21,
  Number.MAX_SAFE_INTEGER,
  Number.NaN,
  Infinity,
  -Infinity,
  1n,
  -1n,
  10n ** 21n,
  '',
  '1',
  '1n',
  'null',
  'true',
  '"',
  '\\"',
  '[]',
  '{}',
  '<01>',
  '@0',
  '\ud800',
  '\udc00',
  '\ufffd',
  '\\ud800',
  [],
  [null],
  ['1'],
  [1],
  [1, 2],
  [[1], 2],
  [[1, 2]],
  ['1,2'],
  [[]],
  {},
  { a: null },
  { a: 1 },
  { a: '1' },
  { b: 1 },
  { a: 1, b: 2 },
  { a: 2, b: 1 },
  { 'a":1,"b': 2 },
  { a: { b: 1 } },
  { a: {} },
  { a: [] },
  { '0': 1 },
  { __proto__: null, constructor: 1 },
  JSON.parse('{"__proto__": 1}'),
  new Uint8Array(),
  new Uint8Array([0]),
  new Uint8Array([1]),
  new Uint8Array([0, 1]),
  new Uint8Array([16]),
  new Uint8Array([255]),
  [new Uint8Array([1]), new Uint8Array([2])],
  [new Uint8Array([1, 2])],
  new Date(0),
  new Date(1),
];

describe('the hash of a request', () => {
  test('tells apart what is different', () => {
    const seen = new Map<string, unknown>();
    for (const value of different) {
      const hash = requestHash(value);
      expect(seen.has(hash), `${canonicalText(value)} and ${canonicalText(seen.get(hash))}`).toBe(false);
      seen.set(hash, value);
    }
    expect(requestHash({ bytes: new Uint8Array(100_000).fill(7) })).not.toBe(
      requestHash({ bytes: new Uint8Array(100_001).fill(7) }),
    );
  });

  test.each<[unknown, unknown]>([
    [
      { a: 1, b: { d: 2, c: 3 } },
      { b: { c: 3, d: 2 }, a: 1 },
    ],
    [{ a: 1, b: undefined }, { a: 1 }],
    [
      { é: 1, e: 2, z: 3 },
      { z: 3, e: 2, é: 1 },
    ],
    [
      { 10: 'a', 9: 'b', a: 1 },
      { a: 1, 9: 'b', 10: 'a' },
    ],
    [[{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    [-0, 0],
    [Buffer.from([1, 2]), new Uint8Array([1, 2])],
    [new Uint8Array([9, 1, 2, 9]).subarray(1, 3), new Uint8Array([1, 2])],
    [new Date(5), new Date(5)],
    [1.0, 1],
  ])('is one for what is equal: %j and %j', (one, other) => {
    expect(requestHash(one)).toBe(requestHash(other));
  });

  test.each([JsonCodec, MsgpackCodec])('is the same on both sides of $name', (codec) => {
    const random = new Random(3);
    const leaves = [0, -5, 0.5, 2 ** 53, '', 'é', '\u2028', true, null, 12n, -(2n ** 70n), new Uint8Array([0, 200])];
    const make = (depth: number): unknown => {
      const kind = depth === 0 ? 0 : random.integer(0, 2);
      if (kind === 0) return random.pick(leaves);
      const items = Array.from({ length: random.integer(0, 3) }, () => make(depth - 1));
      if (kind === 1) return items;
      return Object.fromEntries(items.map((item) => [random.pick(['a', 'b', '__proto__', '', '$t']), item]));
    };
    for (let i = 0; i < 300; i++) {
      const value = { value: make(3) };
      expect(requestHash(codec.fromBuffer(codec.toBuffer(value)))).toBe(requestHash(value));
    }
  });
});
