import { describe, expect, test } from 'vitest';
import { CodecError, detectCodec } from '../../codec/index.ts';
import { parseHandshakeRequest, parseHandshakeResponse } from '../../transport/handshake.ts';
import { HandshakeCode } from '../../transport/index.ts';
import { decodeFrame, encodeFrame, MalformedFrame } from '../../transport/wire.ts';
import { catalog, malformed } from './catalog.ts';
import { codecs, generateVectors, writeVectors } from './generate.ts';
import { fromPlain, readMalformed, readVectors, toPlain, type Vector } from './vectors.ts';

const MAX_BYTES = 1 << 20;

// `HOLDFAST_WRITE_VECTORS=1 npx vitest run __tests__/vectors && npx biome format --write __tests__/vectors`
if (process.env['HOLDFAST_WRITE_VECTORS'] === '1') writeVectors();

const vectors = readVectors();
const name = ({ codec, direction, name }: Vector): string => `${codec}, ${direction}: ${name}`;
const named = (list: readonly Vector[]): [string, Vector][] => list.map((vector) => [name(vector), vector]);

describe('the vectors', () => {
  test('are those of the catalog, in both codecs, and no name is there twice', () => {
    const generated = [...generateVectors()].flatMap(([file, list]) => (file === 'malformed' ? [] : list));
    expect(new Set(vectors.map(name)).size).toBe(vectors.length);
    expect(vectors).toHaveLength(2 * catalog.length);
    expect(new Map(vectors.map((vector) => [name(vector), vector]))).toEqual(
      new Map(generated.map((vector) => [name(vector), vector])),
    );
  });

  test('have every code of a refused handshake', () => {
    const refused = catalog.flatMap(
      ({ message: { payload } }) => /"code":"([A-Z_]+)"/.exec(JSON.stringify(toPlain(payload)))?.[1] ?? [],
    );
    expect(refused).toEqual(expect.arrayContaining(Object.values(HandshakeCode)));
  });

  test.each(named(vectors))('%s: the message encodes to these bytes', (_, { codec, hex, message }) => {
    // Encodes what stands in the file, so that the file alone is enough to check another implementation.
    const frame = codecs[codec].toBuffer(fromPlain(message) as object); // a vector's message is an object
    expect(Buffer.from(frame).toString('hex')).toBe(hex);
  });

  test.each(named(vectors))('%s: these bytes decode to the message', (_, { codec, hex, message }) => {
    const frame = new Uint8Array(Buffer.from(hex, 'hex'));
    expect(detectCodec(frame)).toBe(codecs[codec]);
    const decoded = decodeFrame(codecs[codec], frame, MAX_BYTES);
    if (decoded instanceof MalformedFrame) throw new Error(decoded.reason);
    expect(toPlain(decoded)).toEqual(message);
    expect(encodeFrame(codecs[codec], decoded, MAX_BYTES)).toEqual(frame);
  });

  test.each(named(vectors.filter(({ name }) => /^((request|answer) |handshake)/.test(name))))(
    '%s: the handshake is read as it was meant',
    (_, { codec, direction, hex }) => {
      const message = decodeFrame(codecs[codec], new Uint8Array(Buffer.from(hex, 'hex')), MAX_BYTES);
      if (message instanceof MalformedFrame) throw new Error(message.reason);
      const parse = direction === 'client to server' ? parseHandshakeRequest : parseHandshakeResponse;
      const parsed = parse(message);
      expect(parsed).toEqual({ ok: true, value: message.payload });
    },
  );
});

describe('the malformed frames', () => {
  test('are those of the catalog', () => {
    expect(readMalformed()).toEqual(malformed);
  });

  test.each(named(readMalformed()))('%s is refused', (_, { codec, hex }) => {
    expect(() => codecs[codec].fromBuffer(new Uint8Array(Buffer.from(hex, 'hex')))).toThrow(CodecError);
  });
});
