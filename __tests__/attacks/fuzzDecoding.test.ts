import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Codec, CodecError, JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { decodeFrame, MalformedFrame } from '../../transport/wire.ts';
import { FUZZ_TIMEOUT_MS, framesOf, HANG_MS, oddValue, runsOf } from './support/fuzz.ts';
import { fromClient, requests } from './support/fuzzFrames.ts';
import { watchProcess } from './support/watch.ts';

const PROPERTIES = 3;

/** A value, or undefined where the frame is refused as it should be: with a CodecError, in time. */
function decode(codec: Codec, frame: Uint8Array): { value: unknown } | undefined {
  const startedAt = performance.now();
  try {
    return { value: codec.fromBuffer(frame) };
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    return undefined;
  } finally {
    expect(performance.now() - startedAt).toBeLessThan(HANG_MS);
  }
}

function expectNothingPolluted(): void {
  const keys = [...Object.keys(Object.prototype), ...Object.keys(Array.prototype), ...Object.keys(Function.prototype)];
  expect(keys).toEqual([]);
  expect({}.constructor).toBe(Object);
}

describe.each([JsonCodec, MsgpackCodec])('whatever bytes come, $name', (codec) => {
  const frames = framesOf(codec, fc.oneof(requests, fromClient(0), oddValue));

  test(
    'reads them or refuses them with a CodecError, and what it reads is written and read again',
    () => {
      using watched = watchProcess();
      fc.assert(
        fc.property(frames, (frame) => {
          const first = decode(codec, frame);
          if (first === undefined) return;
          const written = codec.toBuffer(first.value);
          expect(codec.toBuffer(codec.fromBuffer(written))).toEqual(written);
        }),
        runsOf('decoding', PROPERTIES),
      );
      expectNothingPolluted();
      expect(watched.seen).toEqual([]);
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'leaves the frame’s bytes as they were, and an envelope is whole or refused with a reason',
    () => {
      using watched = watchProcess();
      fc.assert(
        fc.property(frames, (frame) => {
          const before = frame.slice();
          const message = decodeFrame(codec, frame, 1024 * 1024);
          expect(Buffer.compare(frame, before)).toBe(0);
          if (message instanceof MalformedFrame) {
            expect(message.reason).not.toBe('');
            return;
          }
          expect(Number.isSafeInteger(message.seq) && message.seq >= 0).toBe(true);
          expect(Number.isSafeInteger(message.ack) && message.ack >= 0).toBe(true);
          for (const text of [message.id, message.from, message.to, message.streamId])
            expect(text).toBeTypeOf('string');
        }),
        runsOf('decoding', PROPERTIES),
      );
      expectNothingPolluted();
      expect(watched.seen).toEqual([]);
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'refuses a message cut at any byte',
    () => {
      const messages = fc.oneof(requests, fromClient(0)).map((message) => codec.toBuffer(message));
      fc.assert(
        fc.property(messages, fc.nat(2 ** 16), (frame, at) => {
          expect(decode(codec, frame.subarray(0, at % frame.length))).toBeUndefined();
        }),
        runsOf('decoding', PROPERTIES),
      );
      for (const frame of fc.sample(messages, 8))
        for (let end = 0; end < frame.length; end++) expect(decode(codec, frame.subarray(0, end))).toBeUndefined();
    },
    FUZZ_TIMEOUT_MS,
  );
});
