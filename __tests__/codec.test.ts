import { readdirSync, readFileSync } from 'node:fs';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { type Codec, CodecError, detectCodec, JsonCodec, MAX_BIGINT_DIGITS, MsgpackCodec } from '../codec/index.ts';
import { bytesKeptBy } from './attacks/support/memory.ts';

const codecs: Codec[] = [JsonCodec, MsgpackCodec];
const fixtures = new URL('./fixtures/wire-v2/', import.meta.url);

interface RecordedFrame {
  title: string;
  bytes: Uint8Array;
  message: unknown;
}

/** A recording writes bytes as {$bytes: hex} and bigints as {$bigint: decimal}. */
function fromRecording(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$bytes' in value) return Uint8Array.from(Buffer.from(String(value.$bytes), 'hex'));
  return '$bigint' in value ? BigInt(String(value.$bigint)) : value;
}

function recordedFrames(folder: string): RecordedFrame[] {
  const frames: RecordedFrame[] = [];
  for (const file of readdirSync(new URL(folder, fixtures))) {
    const lines = readFileSync(new URL(`${folder}/${file}`, fixtures), 'utf8')
      .trim()
      .split('\n');
    for (const [index, line] of lines.entries()) {
      const entry = JSON.parse(line, fromRecording);
      if (typeof entry.bytes !== 'string') continue;
      frames.push({
        title: `${folder}/${file}:${index + 1}`,
        bytes: Buffer.from(entry.bytes, 'base64'),
        message: entry.message,
      });
    }
  }
  return frames;
}

/** `levels` containers in one another, the innermost empty. */
function nested(levels: number): unknown {
  let value: unknown = levels % 2 === 0 ? {} : [];
  for (let level = levels - 1; level > 0; level--) value = level % 2 === 0 ? { in: value } : [value];
  return value;
}

function codecError(run: () => unknown): CodecError {
  try {
    run();
  } catch (error) {
    if (error instanceof CodecError) return error;
    throw new Error('expected a CodecError', { cause: error });
  }
  throw new Error('expected a CodecError, got none');
}

describe.each([
  { codec: JsonCodec, frames: recordedFrames('json') },
  { codec: MsgpackCodec, frames: recordedFrames('msgpack') },
])('$codec.name and what River 0.220.1 put on the wire', ({ codec, frames }) => {
  test('there are recordings', () => {
    expect(frames.length).toBeGreaterThan(100);
  });

  test.each(frames)('$title reads as its message and is written with the same bytes', ({ bytes, message }) => {
    if (message === null) {
      expect(codecError(() => codec.fromBuffer(bytes)).code).toBe('CODEC_DECODE');
      return;
    }
    const decoded = codec.fromBuffer(bytes);
    expect(decoded).toEqual(message);
    expect(Buffer.from(codec.toBuffer(decoded)).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
  });

  test('a connection that begins with one of them is recognised', () => {
    for (const { bytes, message } of frames) {
      expect(detectCodec(bytes)).toBe(message === null ? undefined : codec);
    }
  });
});

test('an empty first frame, text and a MessagePack array are no handshake', () => {
  for (const bytes of [[], [0x20, 0x7b], [0x5b], [0x90], [0xdc, 0, 0], [0xc0]]) {
    expect(detectCodec(Uint8Array.from(bytes))).toBe(undefined);
  }
  expect(detectCodec(Uint8Array.of(0xde, 0, 0))).toBe(MsgpackCodec);
  expect(detectCodec(Uint8Array.of(0xdf, 0, 0, 0, 0))).toBe(MsgpackCodec);
});

describe.each(codecs)('$name', (codec) => {
  const roundTrip = (value: unknown): unknown => codec.fromBuffer(codec.toBuffer(value));

  test.each<[string, unknown]>([
    ['null', null],
    ['booleans', [true, false]],
    ['small and large integers', [0, 1, 127, 128, 255, 256, 65535, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]],
    ['negative integers', [-1, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53) + 1]],
    ['fractions', [0.1, -1.5, 1e308, 5e-324, 2 ** 53 + 2, -1e21]],
    [
      'bigints',
      [0n, 5n, -5n, 200n, 70000n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 2n ** 64n, -(10n ** 400n)],
    ],
    ['strings of every length class', ['', 'a', 'a'.repeat(31), 'a'.repeat(32), 'a'.repeat(255), 'b'.repeat(70000)]],
    [
      'strings outside of ASCII',
      ['é', 'héllo 🇧🇪', '€'.repeat(30), '😀'.repeat(300), '\u0000\u001f\u007f"\\/', '\u2028'],
    ],
    ['strings that begin with a byte order mark', ['\ufeff', '\ufeffabc', `\ufeff${'x'.repeat(100)}`]],
    [
      'bytes',
      [new Uint8Array(0), Uint8Array.of(0, 42, 255), new Uint8Array(300).fill(7), new Uint8Array(70000).fill(9)],
    ],
    ['empty containers', [{}, [], { a: {}, b: [] }]],
    [
      'large containers',
      [
        Array.from({ length: 70000 }, (_, i) => i),
        Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i])),
      ],
    ],
    [
      'keys that are names on prototypes',
      { constructor: 'c', toString: 1, hasOwnProperty: null, valueOf: [], toJSON: 5 },
    ],
    [
      'keys that are numbers, empty or long',
      { 1: 'a', '': 'b', ['k'.repeat(40)]: 'c', ['k'.repeat(300)]: 'd', é: 'e' },
    ],
    ['the key __proto__', JSON.parse('{"__proto__": {"polluted": true}, "deep": [{"__proto__": 1}]}')],
  ])('%s come back as they were', (_title, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test('keys keep their order', () => {
    const value = { zebra: 1, apple: { y: 1n, x: undefined, a: new Uint8Array(1) }, mango: 3 };
    expect(Object.keys(roundTrip(value) as object)).toEqual(['zebra', 'apple', 'mango']);
    expect(Object.keys((roundTrip(value) as typeof value).apple)).toEqual(['y', 'a']);
  });

  test('the key __proto__ is data and changes no prototype', () => {
    const value: unknown = roundTrip(JSON.parse('{"__proto__": {"polluted": 1}, "big": {"__proto__": 1}}'));
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toEqual(['__proto__', 'big']);
    expect(Reflect.get({}, 'polluted')).toBe(undefined);
    const withBigInt = JSON.parse('{"__proto__": 1}');
    withBigInt.big = 5n;
    expect(roundTrip(withBigInt)).toStrictEqual(withBigInt);
  });

  test('an undefined property is absent and an undefined item is null', () => {
    const value = { a: undefined, b: { c: undefined, d: 1 }, e: [undefined, 1, undefined], f: undefined };
    expect(roundTrip(value)).toStrictEqual({ b: { d: 1 }, e: [null, 1, null] });
    expect(roundTrip(new Array(2))).toStrictEqual([null, null]);
    expect(codecError(() => codec.toBuffer(undefined)).message).toContain('got undefined');
  });

  test('objects without a prototype and of another realm are plain', async () => {
    const { runInNewContext } = await import('node:vm');
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
    expect(roundTrip(runInNewContext('({ list: [1], bytes: new Uint8Array([1, 2]), big: 5n })'))).toStrictEqual({
      list: [1],
      bytes: Uint8Array.of(1, 2),
      big: 5n,
    });
  });

  test('what was given is not changed', () => {
    const value = { list: [1n, undefined], bytes: new Uint8Array(2), $b: '5', gone: undefined, text: '\ud800' };
    const before = structuredClone(value);
    codec.toBuffer(value);
    codec.toBuffer(Object.freeze({ look: Object.freeze({ $b: '5' }), list: Object.freeze([1n]) }));
    expect(value).toStrictEqual(before);
  });

  class Money {
    amount = 1;
  }
  test.each<[string, unknown, string]>([
    ['a function', { a: [1, { b: () => 1 }] }, 'a[1].b: expected null, a boolean,'],
    ['a symbol', [Symbol('s')], '[0]: expected null'],
    ['a Map', { payload: { m: new Map() } }, 'payload.m: expected null'],
    ['a Set', { s: new Set() }, 'got an instance of Set'],
    [
      'a class instance',
      { m: new Money() },
      'm: expected null, a boolean, number, bigint, string, Uint8Array, valid Date, array or plain object, got an instance of Money',
    ],
    ['an Error', new Error('x'), 'the message: expected null'],
    ['a RegExp', [/x/], 'got an instance of RegExp'],
    ['another typed array', [new Uint16Array(1)], 'got an instance of Uint16Array'],
    ['an ArrayBuffer', [new ArrayBuffer(1)], 'got an instance of ArrayBuffer'],
    ['an invalid Date', { at: new Date(Number.NaN) }, 'at: expected null'],
    ['a boxed string', [Object('x')], 'got an instance of String'],
    ['a promise', { p: Promise.resolve() }, 'got an instance of Promise'],
  ])('%s is refused by name and path', (_title, value, message) => {
    const error = codecError(() => codec.toBuffer(value));
    expect(error.code).toBe('CODEC_ENCODE');
    expect(error.message).toContain(message);
  });

  test('an exception of a getter is the cause of a CodecError, and the next message is unharmed', () => {
    const cause = new Error('from the getter');
    const value = {
      get boom(): never {
        throw cause;
      },
    };
    expect(codecError(() => codec.toBuffer([value])).cause).toBe(cause);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(codecError(() => codec.toBuffer([proxy])).code).toBe('CODEC_ENCODE');
    expect(roundTrip({ ok: true })).toEqual({ ok: true });
  });

  test('64 levels pass in both directions, 65 in neither', () => {
    expect(roundTrip(nested(64))).toStrictEqual(nested(64));
    expect(codecError(() => codec.toBuffer(nested(65))).message).toContain('at most 64 levels');
  });

  test('a bigint has a largest length in both directions', () => {
    const digits = '9'.repeat(MAX_BIGINT_DIGITS);
    expect(roundTrip([BigInt(digits), BigInt(`-${digits}`)])).toStrictEqual([BigInt(digits), BigInt(`-${digits}`)]);
    expect(codecError(() => codec.toBuffer([BigInt(`1${digits}`)])).message).toContain('got one of 10001');
    const frame =
      codec === JsonCodec
        ? Buffer.from(`{"$b":"1${digits}"}`)
        : Buffer.concat([Buffer.from('c8271400da2711', 'hex'), Buffer.from(`1${digits}`)]);
    expect(codecError(() => codec.fromBuffer(frame)).message).toContain('got one of 10001');
    // A text of that length that only looks like one is data.
    expect(roundTrip({ $b: `1${digits}` })).toStrictEqual({ $b: `1${digits}` });
  });

  test('a circular structure is a CodecError', () => {
    const circle: Record<string, unknown> = {};
    circle['list'] = [circle];
    expect(codecError(() => codec.toBuffer(circle)).message).toContain('circular');
  });

  const deepFrame = (levels: number): Uint8Array =>
    codec === JsonCodec
      ? new TextEncoder().encode(`${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`)
      : Uint8Array.from([...Buffer.from('9181a161'.repeat(levels / 2), 'hex'), 1]);

  test.each([66, 1000, 10_000, 1_000_000])('a frame of %i levels is refused before it is built', (levels) => {
    const frame = deepFrame(levels);
    const heapBefore = process.memoryUsage().heapUsed;
    const before = performance.now();
    expect(codecError(() => codec.fromBuffer(frame)).message).toContain('at most 64 levels');
    // Both are about a tenth of this on an idle machine; building the frame's objects takes more than ten times it.
    expect(performance.now() - before).toBeLessThan(100);
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(20e6);
  });

  test('a frame of 64 levels is read', () => {
    expect(() => codec.fromBuffer(deepFrame(64))).not.toThrow();
  });

  const sample = {
    id: 'x',
    n: [1, -200, 70000, 1.5, 2n ** 70n, 7n],
    b: Uint8Array.of(1, 2),
    t: 'é'.repeat(40),
    d: new Date(5),
    o: { k: null },
  };

  test('a frame cut at any byte is a CodecError', () => {
    const frame = codec.toBuffer(sample);
    for (let length = 0; length < frame.length; length++) {
      expect(codecError(() => codec.fromBuffer(frame.subarray(0, length))).code).toBe('CODEC_DECODE');
    }
  });

  test('a frame with bytes after its end is a CodecError', () => {
    const frame = codec.toBuffer(sample);
    for (const byte of [0, 0x41, 0xc0, 0xff]) {
      expect(codecError(() => codec.fromBuffer(Uint8Array.from([...frame, byte]))).code).toBe('CODEC_DECODE');
    }
  });

  test('whatever is done to one byte of a frame, it reads or is a CodecError', () => {
    const frame = codec.toBuffer(sample);
    let refused = 0;
    for (let index = 0; index < frame.length; index++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = frame.slice();
        changed[index] = byte;
        try {
          codec.fromBuffer(changed);
        } catch (error) {
          // Not an assertion of the test runner: 100 000 of them take seconds.
          if (!(error instanceof CodecError)) throw new Error(`byte ${index} as ${byte}`, { cause: error });
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(frame.length);
  });

  test('a frame is read from a Buffer and from any offset of its memory', () => {
    const frame = codec.toBuffer(sample);
    const memory = new Uint8Array(frame.length + 20).fill(0x7b);
    memory.set(frame, 7);
    const view = memory.subarray(7, 7 + frame.length);
    expect(codec.fromBuffer(view)).toStrictEqual(codec.fromBuffer(frame));
    expect(codec.fromBuffer(Buffer.from(frame))).toStrictEqual(codec.fromBuffer(frame));
    expect(Object.keys(view).length).toBe(frame.length); // nothing was left on it
  });

  test('bytes come back as a Uint8Array of their own memory, also from a Buffer', () => {
    const frame = Buffer.from(codec.toBuffer({ bytes: Buffer.from([1, 2, 3]) }));
    const { bytes } = codec.fromBuffer(frame) as { bytes: Uint8Array };
    frame.fill(0);
    expect(bytes.constructor).toBe(Uint8Array);
    expect(bytes.buffer.byteLength).toBe(3);
    expect(bytes).toStrictEqual(Uint8Array.of(1, 2, 3));
  });

  test('a small frame that is kept, of many that are not, keeps little else alive', async () => {
    const kept = await bytesKeptBy(() =>
      Array.from({ length: 500 }, (_, n) => {
        for (let other = 0; other < 1_000; other++) codec.toBuffer({ other });
        return codec.toBuffer({ n });
      }),
    );
    expect(kept / 500).toBeLessThan(4_000);
  });

  test('a key is read as what it says, also where its memory said something else before', () => {
    const read = (memory: Buffer, key: string) => {
      memory.set(codec.toBuffer({ [key]: 1 }));
      return Object.keys(codec.fromBuffer(memory) as object);
    };
    // As long, and equal at the first, middle and last letter: whoever remembers keys by those has them in one place.
    const memory = Buffer.alloc(codec.toBuffer({ axbxc: 1 }).length);
    expect(read(memory, 'axbxc')).toEqual(['axbxc']);
    expect(read(memory, 'aybyc')).toEqual(['aybyc']);
    expect(read(memory, 'axbxc')).toEqual(['axbxc']);
  });

  test('frames are plain Uint8Arrays that later frames do not overwrite', () => {
    const values = Array.from({ length: 300 }, (_, index) => ({
      index,
      text: 'x'.repeat((index * 37) % 1500),
      big: 2n ** 60n,
    }));
    const frames = values.map((value) => codec.toBuffer(value));
    expect(frames.map((frame) => codec.fromBuffer(frame))).toStrictEqual(values);
    for (const frame of frames) expect(frame.constructor).toBe(Uint8Array);
  });
});

test('bundled for a browser, the codecs run where code generation is forbidden', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { JsonCodec, MsgpackCodec } from './codec/index.ts';
        const value = { text: 'x', list: Array.from({ length: 20 }, (_, i) => ({ i, big: 2n ** 64n, at: new Date(i) })) };
        for (const codec of [JsonCodec, MsgpackCodec]) {
          const read = codec.fromBuffer(codec.toBuffer(value));
          if (read.list[19].big !== 2n ** 64n) throw new Error(codec.name);
        }
        try { new Function('1'); } catch { console.log('forbidden, and still done'); }`,
      resolveDir: new URL('..', import.meta.url).pathname,
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
  });
  const { execFileSync } = await import('node:child_process');
  const output = execFileSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '-'],
    { input: outputFiles[0]?.text ?? '', encoding: 'utf8' },
  );
  expect(output.trim()).toBe('forbidden, and still done');
});
