import { describe, expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../codec/base64.ts';
import { CodecError, JsonCodec, MAX_NESTING } from '../codec/index.ts';

const text = (value: unknown): string => new TextDecoder().decode(JsonCodec.toBuffer(value));
const read = (json: string): unknown => JsonCodec.fromBuffer(new TextEncoder().encode(json));

/** Numbers in [0, limit) that are the same in every run. */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe('tags', () => {
  test.each<[unknown, string]>([
    [Uint8Array.of(0, 42, 255), '{"$t":"ACr/"}'],
    [new Uint8Array(0), '{"$t":""}'],
    [5n, '{"$b":"5"}'],
    [-(2n ** 70n), '{"$b":"-1180591620717411303424"}'],
    [0n, '{"$b":"0"}'],
    [{ a: [1n] }, '{"a":[{"$b":"1"}]}'],
  ])('%o is written as %s and read back', (value, json) => {
    expect(text(value)).toBe(json);
    expect(read(json)).toStrictEqual(value);
  });

  test('a tag is recognised however its key is spelled in the text', () => {
    expect(read('{"\\u0024b":"5"}')).toBe(5n);
    expect(read('{ "$t" : "AA==" }')).toStrictEqual(Uint8Array.of(0));
  });

  test.each([
    '{"$b":"x"}',
    '{"$b":5}',
    '{"$b":""}',
    '{"$b":"05"}',
    '{"$b":"-0"}',
    '{"$b":"+5"}',
    '{"$b":" 5"}',
    '{"$b":"5n"}',
    '{"$b":"1e3"}',
    '{"$b":null}',
    '{"$b":{"$b":"x"}}',
    '{"$t":"A"}',
    '{"$t":"AA"}',
    '{"$t":"AAA"}',
    '{"$t":"AB=="}',
    '{"$t":"AAB="}',
    '{"$t":"AA= "}',
    '{"$t":"====" }',
    '{"$t":"AA==AAAA"}',
    '{"$t":"AA-_"}',
    '{"$t":"AAé="}',
    '{"$t":"AAAĀ"}',
    '{"$b":"5","note":1}',
    '{"$t":"AAAA","$b":"5"}',
    '{"$t":"AAAA","$b":"5","$e":""}',
    '{"$b":"5","$e":"x"}',
    '{"$b":"5","$e":null}',
    '{"$b":"x","$e":""}',
    '{"$e":""}',
    '{"$e":{"$c":"5"}}',
    '{"$":"","$$b":"5"}',
  ])('%s is data and travels without an escape', (json) => {
    expect(read(json)).toStrictEqual(JSON.parse(json));
    expect(text(JSON.parse(json))).toBe(JSON.stringify(JSON.parse(json)));
  });
});

describe('escapes', () => {
  test.each([
    ['{"$b":"5"}', '{"$b":"5","$e":""}'],
    ['{"$t":"AAAA"}', '{"$t":"AAAA","$e":""}'],
    ['{"$t":""}', '{"$t":"","$e":""}'],
    ['{"$b":"5","$e":""}', '{"$b":"5","$e":"$"}'],
    ['{"$e":"$$","$b":"5"}', '{"$e":"$$$","$b":"5"}'],
    ['{"$e":{"$b":"5"}}', '{"$e":{"$b":"5","$e":""}}'],
    ['[{"a":{"$t":"AA=="}}]', '[{"a":{"$t":"AA==","$e":""}}]'],
  ])('the data %s is written as %s and read back, keys in order', (data, wire) => {
    expect(text(JSON.parse(data))).toBe(wire);
    expect(JSON.stringify(read(wire))).toBe(data);
  });

  test('an undefined property does not hide that the rest looks like a tag', () => {
    expect(read(text({ $b: '5', gone: undefined }))).toStrictEqual({ $b: '5' });
    expect(read(text({ $b: '5', $e: undefined }))).toStrictEqual({ $b: '5' });
  });

  test('values inside of objects with such keys keep their type', () => {
    for (const value of [
      { $e: 5n },
      { $b: 5n },
      { $t: Uint8Array.of(1) },
      { $e: { $b: 5n } },
      { $t: [{ $b: '1' }, 1n] },
    ]) {
      expect(read(text(value))).toStrictEqual(value);
    }
  });

  test('any data made of such keys and values comes back, and is escaped only where River would misread it', () => {
    const random = seeded(7);
    const scalars = ['5', '', '$', '$$', 'AAAA', 'AA==', '-1', 'x', 5, null, true];
    const keys = ['$b', '$t', '$e', 'a'];
    const make = (depth: number): unknown => {
      const kind = random(depth > 3 ? 1 : 3);
      if (kind === 0) return scalars[random(scalars.length)];
      if (kind === 1) return Array.from({ length: random(3) }, () => make(depth + 1));
      return Object.fromEntries(Array.from({ length: random(4) }, () => [keys[random(keys.length)], make(depth + 1)]));
    };
    const riverMisreads = (value: unknown): boolean =>
      typeof value === 'object' &&
      value !== null &&
      ('$t' in value || '$b' in value || Object.values(value).some(riverMisreads));
    let escaped = 0;
    for (let run = 0; run < 20_000; run++) {
      const value = make(0);
      const wire = text(value);
      const plain = JSON.stringify(value);
      expect(JSON.stringify(read(wire))).toBe(plain);
      if (wire === plain) continue;
      escaped++;
      expect(riverMisreads(value)).toBe(true);
    }
    expect(escaped).toBeGreaterThan(200);
  });
});

describe('base64', () => {
  test('is the standard one for every length', () => {
    const random = seeded(3);
    for (let length = 0; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, () => random(256));
      const base64 = toBase64(bytes);
      expect(base64).toBe(Buffer.from(bytes).toString('base64'));
      expect(fromBase64(base64)).toStrictEqual(bytes);
    }
  });

  test('reads no other text than what it writes', () => {
    const alphabet = ['A', 'B', 'Q', 'w', '/', '=', '-', ' ', '\u0141'];
    const random = seeded(5);
    for (let run = 0; run < 20_000; run++) {
      const candidate = Array.from({ length: random(9) }, () => alphabet[random(alphabet.length)]).join('');
      const bytes = fromBase64(candidate);
      if (bytes !== undefined) expect(toBase64(bytes)).toBe(candidate);
    }
  });
});

test('dates are ISO text, and what JSON has no form for is what JSON makes of it', () => {
  expect(read(text({ at: new Date(0) }))).toStrictEqual({ at: '1970-01-01T00:00:00.000Z' });
  expect(read(text([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]))).toStrictEqual([
    null,
    null,
    null,
    0,
  ]);
});

test('a lone surrogate comes back as it was', () => {
  expect(read(text({ 'k\udc00': 'a\ud800b' }))).toStrictEqual({ 'k\udc00': 'a\ud800b' });
});

test('a bigint counts as a level, as it does on the wire', () => {
  const nest = (levels: number, inner: unknown): unknown => (levels === 0 ? inner : [nest(levels - 1, inner)]);
  expect(read(text(nest(MAX_NESTING - 1, 1n)))).toStrictEqual(nest(MAX_NESTING - 1, 1n));
  for (const inner of [1n, new Uint8Array(1)]) {
    expect(() => JsonCodec.toBuffer(nest(MAX_NESTING, inner))).toThrow('at most 64 levels');
  }
});

test('brackets in strings do not count as levels, wherever quotes and backslashes stand', () => {
  const value = { a: '[{'.repeat(200), b: ['"[', '\\', '\\"[[', '\\\\'], ['{'.repeat(99)]: '"' };
  expect(read(text(value))).toStrictEqual(value);
  const wide = Array.from({ length: 500 }, () => ({ list: [] }));
  expect(read(text(wide))).toStrictEqual(wide);
  const quoted = `{"a":"\\\\\\"${'['.repeat(70)}\\\\","b":${'['.repeat(64)}${']'.repeat(64)}}`;
  expect(() => read(quoted)).toThrow('at most 64 levels');
});

test.each<[string, number[]]>([
  ['no bytes', []],
  ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
  ['an invalid byte', [0x22, 0xff, 0x22]],
  ['an overlong form', [0x22, 0xc0, 0x80, 0x22]],
  ['a surrogate as UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ['a sequence cut short', [0x22, 0xe2, 0x82, 0x22]],
])('%s is a CodecError', (_title, bytes) => {
  expect(() => JsonCodec.fromBuffer(Uint8Array.from(bytes))).toThrow(CodecError);
});

test('the error for text that is no JSON keeps its cause and does not quote the text', () => {
  try {
    read('{"password":"secret"');
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: 'CODEC_DECODE', message: 'json: expected one JSON value, got other text' });
    expect(error instanceof Error && error.cause).toBeInstanceOf(SyntaxError);
  }
});
