import * as msgpackr from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { CodecError, MAX_NESTING, MsgpackCodec } from '../codec/index.ts';

const hex = (value: unknown): string => Buffer.from(MsgpackCodec.toBuffer(value)).toString('hex');
const read = (text: string): unknown => MsgpackCodec.fromBuffer(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('the shortest form is written', () => {
  test.each<[unknown, string]>([
    [null, 'c0'],
    [false, 'c2'],
    [127, '7f'],
    [-32, 'e0'],
    [200, 'cc c8'],
    [-100, 'd0 9c'],
    [65535, 'cd ffff'],
    [4294967295, 'ce ffffffff'],
    [-0, '00'],
    [1.5, 'cb 3ff8000000000000'],
    ['', 'a0'],
    ['a'.repeat(31), `bf ${'61'.repeat(31)}`],
    ['a'.repeat(32), `d9 20 ${'61'.repeat(32)}`],
    [{ a: 1 }, '81 a161 01'],
    [
      Object.fromEntries(Array.from({ length: 16 }, (_, i) => [String.fromCharCode(97 + i), 1])),
      `de 0010 ${Array.from({ length: 16 }, (_, i) => `a1${(97 + i).toString(16)}01`).join('')}`,
    ],
    [[1, undefined], '92 01 c0'],
    [{ a: undefined, b: 1 }, '81 a162 01'],
    [Uint8Array.of(1, 2), 'c4 02 0102'],
    [Buffer.from([1, 2]), 'c4 02 0102'],
    [5n, 'd4 00 05'],
    [-200n, 'c7 03 00 d1ff38'],
    [2n ** 60n, `c7 14 00 b3${Buffer.from(String(2n ** 60n)).toString('hex')}`],
    [new Date(0), 'd6 ff 00000000'],
    [new Date(1), 'd7 ff 003d090000000000'],
    [new Date(-1), 'c7 0c ff 3b8b87c0 ffffffffffffffff'],
  ])('%o', (value, expected) => {
    expect(hex(value)).toBe(expected.replaceAll(' ', ''));
  });
});

describe('every form is read', () => {
  test.each<[string, unknown]>([
    ['c2', false],
    ['c3', true],
    ['cc 05', 5],
    ['cd 0005', 5],
    ['ce 00000005', 5],
    ['cf 0000000000000005', 5],
    ['cf 001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['d0 ff', -1],
    ['d1 fffe', -2],
    ['d2 fffffffd', -3],
    ['d3 fffffffffffffffc', -4],
    ['d3 ffe0000000000001', Number.MIN_SAFE_INTEGER],
    ['d3 0000000100000000', 2 ** 32],
    ['ca 3fc00000', 1.5],
    ['cb 7ff0000000000000', Number.POSITIVE_INFINITY],
    ['d9 01 61', 'a'],
    ['da 0001 61', 'a'],
    ['db 00000001 61', 'a'],
    ['dc 0001 05', [5]],
    ['dd 00000001 05', [5]],
    ['de 0001 a161 05', { a: 5 }],
    ['df 00000001 a161 05', { a: 5 }],
    ['82 d90161 01 da000162 02', { a: 1, b: 2 }],
    ['81 db0000000161 01', { a: 1 }],
    ['82 a161 01 a161 02', { a: 2 }],
    ['c5 0001 07', Uint8Array.of(7)],
    ['c6 00000001 07', Uint8Array.of(7)],
    ['c8 0001 00 07', 7n],
    ['c9 00000001 00 07', 7n],
    ['d5 00 a135', 5n],
    ['d8 00 cb 4014000000000000 c0c0c0c0c0c0c0', undefined],
    ['c7 09 00 cb 4014000000000000', 5n],
    ['d6 ff 00000001', new Date(1000)],
    ['d7 ff 003d0900 00000000', new Date(1)],
    ['c7 0c ff 000f4240 fffffffffffffffe', new Date(-1999)],
  ])('%s', (bytes, value) => {
    if (value === undefined) expect(() => read(bytes)).toThrow(CodecError);
    else expect(read(bytes)).toStrictEqual(value);
  });

  test('NaN and the infinities come back', () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    expect(MsgpackCodec.fromBuffer(MsgpackCodec.toBuffer(values))).toStrictEqual(values);
  });

  test('dates come back', () => {
    for (const time of [0, 1, -1, 1763686800123, -62135596800001, 8.64e15, -8.64e15, 2 ** 32 * 1000 + 7]) {
      expect(MsgpackCodec.fromBuffer(MsgpackCodec.toBuffer([new Date(time)]))).toStrictEqual([new Date(time)]);
    }
  });
});

describe('what is no message of this protocol is refused', () => {
  test.each<[string, string, string]>([
    ['the token that no value uses', 'c1', 'unused token 0xc1'],
    ['a number as a key', '81 01 02', 'expected a string as a key'],
    ['nil as a key', '81 c0 02', 'expected a string as a key'],
    ['an integer that is not safe', 'cf 0020000000000000', 'safe integer'],
    ['the largest integer', 'cf ffffffffffffffff', 'safe integer'],
    ['a negative integer that is not safe', 'd3 ffe0000000000000', 'safe integer'],
    ['a record definition', 'd4 72 40 91 a161 01', 'extension 114'],
    ['a regular expression', 'd4 78 00 92 a128 a0', 'extension 120'],
    ['an error', 'd4 65 00 93 a5 4572726f72 a161 c0', 'extension 101'],
    ['a set', 'd4 73 00 91 01', 'extension 115'],
    ['a reference', 'd6 69 00000001 91 d6 70 00000001', 'extension 105'],
    ['bundled strings', 'd6 62 00000001', 'extension 98'],
    ['a timestamp of 5 bytes', 'c7 05 ff 0000000000', 'timestamp'],
    ['a timestamp with too many nanoseconds', 'd7 ff ffffffff 00000000', 'timestamp'],
    ['a timestamp beyond any Date', 'c7 0c ff 00000000 7fffffffffffffff', 'timestamp'],
    ['a bigint that is nil', 'd4 00 c0', 'as a bigint'],
    ['a bigint that is a fraction', 'c7 09 00 cb 3ff8000000000000', 'as a bigint'],
    ['a bigint that is text', 'd5 00 a178', 'as a bigint'],
    ['a bigint in another notation', 'c7 04 00 a3 307835', 'as a bigint'],
    ['a bigint with a rest', 'd5 00 05 05', 'end of an extension'],
    ['a bigint that is an array', 'd5 00 91 05', 'levels'],
    ['an empty bigint', 'c7 00 00', 'the end'],
    ['a bigint that reaches over its end', 'd4 00 cc 05', 'the end'],
    ['an array that claims more than there is', 'dd ffffffff 01', '4294967295 items'],
    ['a map that claims more than there is', 'df ffffffff a161', 'items'],
    ['a string that claims more than there is', 'db ffffffff 61', '4294967295 bytes'],
    ['bytes that claim more than there are', 'c6 ffffffff 61', '4294967295 bytes'],
    ['an invalid byte in a string', 'a1 ff', 'UTF-8'],
    ['an invalid byte in a key', '81 a1 ff 01', 'UTF-8'],
    ['an invalid byte in a long string', `d9 40 ${'61'.repeat(63)} ff`, 'UTF-8'],
    ['an overlong form', 'a2 c080', 'UTF-8'],
    ['a surrogate', 'a3 eda080', 'UTF-8'],
    ['a surrogate pair', 'a6 eda0bd edb880', 'UTF-8'],
    ['no bytes', '', 'the end'],
  ])('%s', (_title, bytes, message) => {
    expect(() => read(bytes)).toThrow(CodecError);
    expect(() => read(bytes)).toThrow(message);
  });

  test('nested headers that each claim all the bytes allocate nothing', () => {
    const header = 'dd00100000';
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    expect(() => MsgpackCodec.fromBuffer(Buffer.from(header.repeat(60) + 'c0'.repeat(2 ** 20 - 300), 'hex'))).toThrow(
      CodecError,
    );
    expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(40e6);
  });
});

test('a lone surrogate, which UTF-8 cannot carry, becomes the replacement character', () => {
  expect(hex({ 'k\udc00': ['a\ud800b', '😀'] })).toBe(hex({ 'k\ufffd': ['a\ufffdb', '😀'] }));
  expect(hex(`${'x'.repeat(100)}\ud800`)).toBe(hex(`${'x'.repeat(100)}\ufffd`));
});

test('bytes and bigints are no level', () => {
  const nest = (levels: number, inner: unknown): unknown => (levels === 0 ? inner : [nest(levels - 1, inner)]);
  for (const inner of [1n, new Uint8Array(1)]) {
    expect(MsgpackCodec.fromBuffer(MsgpackCodec.toBuffer(nest(MAX_NESTING, inner)))).toStrictEqual(
      nest(MAX_NESTING, inner),
    );
  }
});

test('ever new keys do not confuse the cache of keys', () => {
  for (let run = 0; run < 5000; run++) {
    const object = { [`key${run}`]: run, [`${run}key`]: run, k: run };
    expect(MsgpackCodec.fromBuffer(MsgpackCodec.toBuffer(object))).toStrictEqual(object);
  }
});

describe('other users of msgpackr in the process', () => {
  const frame = Buffer.from('9200d40007', 'hex');

  test('keep what msgpackr reads extension 0 as', () => {
    MsgpackCodec.toBuffer([5n]);
    expect(msgpackr.unpack(Buffer.from('d40000', 'hex'))).toBe(undefined);
    expect(msgpackr.unpack(msgpackr.pack({ big: 5n, bytes: Buffer.of(1) }))).toStrictEqual({
      big: 5n,
      bytes: Buffer.of(1),
    });
  });

  test('may register extension 0 for themselves, before or after', () => {
    msgpackr.addExtension({ type: 0, unpack: () => 'theirs' });
    expect(msgpackr.unpack(frame)).toStrictEqual([0, 'theirs']);
    expect(MsgpackCodec.fromBuffer(frame)).toStrictEqual([0, 7n]);
    expect(hex([7n])).toBe('91d40007');
    expect(msgpackr.unpack(frame)).toStrictEqual([0, 'theirs']);
  });

  test('may be in the middle of packing when a getter calls the codec', () => {
    const value = {
      get inner(): Uint8Array {
        return MsgpackCodec.toBuffer({ big: 5n });
      },
    };
    const { inner } = msgpackr.unpack(msgpackr.pack({ value })).value;
    expect(MsgpackCodec.fromBuffer(inner)).toStrictEqual({ big: 5n });
    expect(MsgpackCodec.fromBuffer(MsgpackCodec.toBuffer({ value }))).toStrictEqual({
      value: { inner: new Uint8Array(inner) },
    });
  });
});

describe('of a frame that was given away', () => {
  /** A value as it comes in a frame with `before` bytes in front of it and `after` behind it, in memory of its own or not. */
  function decoded(
    value: unknown,
    { before = 0, after = 0, isAlone = true } = {},
  ): { value: unknown; memory: unknown } {
    const body = MsgpackCodec.toBuffer(value);
    const memory = new Uint8Array(before + body.length + after + (isAlone ? 0 : 1));
    memory.set(body, before);
    const frame = memory.subarray(0, before + body.length + after);
    const decoder = MsgpackCodec.openFrame?.(frame);
    return { value: decoder?.read(before, before + body.length), memory: memory.buffer };
  }
  const bytesOf = (value: unknown): Uint8Array =>
    value instanceof Uint8Array ? value : (value as { bytes: Uint8Array }).bytes; // what `decoded` was given
  const large = new Uint8Array(5_000).map((_, i) => i);

  test('large bytes stay where they are', () => {
    const { value, memory } = decoded({ bytes: large }, { before: 3 });
    expect(value).toEqual({ bytes: large });
    expect(bytesOf(value).buffer).toBe(memory);
    expect(Buffer.isBuffer(bytesOf(value))).toBe(false);
  });

  test.each<[string, unknown, Parameters<typeof decoded>[1]]>([
    ['small bytes', { bytes: large.slice(0, 4_000) }, {}],
    ['bytes that are little of the frame', { bytes: large, more: 'x'.repeat(6_000) }, {}],
    ['bytes with another message behind them', { bytes: large }, { after: 1 }],
    ['bytes in memory where something else lies, too', { bytes: large }, { isAlone: false }],
  ])('%s are copied', (_what, value, where) => {
    const { value: got, memory } = decoded(value, where);
    expect(got).toEqual(value);
    expect(bytesOf(got).buffer).not.toBe(memory);
    expect(bytesOf(got).buffer.byteLength).toBe(bytesOf(got).length);
  });

  test('and of one that was not, all bytes are copied', () => {
    const body = new Uint8Array(MsgpackCodec.toBuffer(large));
    expect(bytesOf(MsgpackCodec.fromBuffer(body)).buffer).not.toBe(body.buffer);
  });
});
