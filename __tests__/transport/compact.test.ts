import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { CompactFrameReader, encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import { MessageTooLargeError } from '../../transport/errors.ts';
import { closeMessage, type OutgoingMessage, rehandshakeRequest } from '../../transport/message.ts';
import { MalformedFrame } from '../../transport/wire.ts';

const LIMIT = 1024 * 1024;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

function open(frame: Uint8Array, codec = MsgpackCodec): CompactFrameReader {
  const reader = CompactFrameReader.open(codec, frame);
  if (reader instanceof MalformedFrame) throw new Error(reader.reason);
  return reader;
}

/** Why a frame is none, wherever it shows. */
function faultOf(frame: Uint8Array): string | undefined {
  const reader = CompactFrameReader.open(MsgpackCodec, frame);
  if (reader instanceof MalformedFrame) return reader.reason;
  for (let seq = reader.firstSeq; reader.hasMore; seq++) {
    const message = reader.next(seq);
    if (message instanceof MalformedFrame) return message.reason;
  }
  return undefined;
}

const add: OutgoingMessage = {
  streamId: '1',
  controlFlags: 10,
  serviceName: 'math',
  procedureName: 'add',
  tracing: { traceparent: '', tracestate: '' },
  payload: { n: 3 },
};

describe('a compact frame', () => {
  test.each([
    ['an opening message', [add], '00 00 00 0f 0a 01 04 6d617468 03 616464 81 a1 6e 03'],
    ['a close', [closeMessage('300')], '00 00 00 03 18 ac02'],
    ['a re-handshake', [rehandshakeRequest()], '00 00 00 18 20 00 81 a4 74797065 af 524548414e445348414b455f524551'],
    ['a stream with a name', [{ streamId: 's1', controlFlags: 0, payload: 1 }], '00 00 00 05 01 02 7331 01'],
    ['nothing at all', [], '00 00 00'],
  ] as const)('of %s is these bytes', (_what, messages, bytes) => {
    const frame = encodeCompactFrame(
      0,
      0,
      0,
      messages.map((message) => encodeCompact(MsgpackCodec, message, undefined, LIMIT)),
    );
    expect(hex(frame)).toBe(hex(bytesOf(bytes)));
    expect(faultOf(frame)).toBeUndefined();
  });

  test('has numbers of any size', () => {
    for (const number of [0, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
      const reader = open(encodeCompactFrame(number, number, 1, []));
      expect([reader.firstSeq, reader.ack, reader.flags]).toEqual([number, number, 1]);
    }
  });

  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  const message: fc.Arbitrary<[OutgoingMessage, number | undefined]> = fc.tuple(
    fc.record({
      streamId: fc.oneof(fc.integer({ min: 1 }).map(String), text),
      controlFlags: fc.constantFrom(0, 2, 4, 8, 10),
      // JSON has no −0.
      payload: fc.oneof(
        fc.constant({ type: 'CLOSE' }),
        fc.json().map((json): unknown => JSON.parse(json)),
      ),
      serviceName: text,
      procedureName: text,
      tracing: fc.constantFrom({ traceparent: '', tracestate: '' }, { traceparent: '00-a-b-01', tracestate: 'x=1' }),
    }),
    fc.option(fc.nat(), { nil: undefined }),
  );

  test.each([JsonCodec, MsgpackCodec])('in $name comes out as it went in, message by message', (codec) => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.nat(),
        fc.nat(),
        fc.nat(3),
        (sent, firstSeq, ack, skipped) => {
          const parts = sent.map(([one, deadline]) => encodeCompact(codec, one, deadline, LIMIT));
          const reader = open(encodeCompactFrame(firstSeq, ack, 0, parts), codec);
          expect([reader.firstSeq, reader.ack, reader.flags]).toEqual([firstSeq, ack, 0]);
          for (const [i, [one, deadline]] of sent.entries()) {
            if (i < skipped) {
              expect(reader.skip()).toBeUndefined();
              continue;
            }
            const isOpening = (one.controlFlags & 2) !== 0;
            const isTraced = one.tracing?.traceparent !== '';
            expect(reader.next(firstSeq + i)).toEqual({
              id: '',
              from: '',
              to: '',
              seq: firstSeq + i,
              ack,
              streamId: one.streamId,
              controlFlags: one.controlFlags,
              payload: one.payload,
              ...(isOpening ? { serviceName: one.serviceName, procedureName: one.procedureName } : {}),
              ...(isTraced ? { tracing: one.tracing } : {}),
              ...(deadline === undefined ? {} : { deadline }),
            });
          }
          expect(reader.hasMore).toBe(false);
        },
      ),
    );
  });

  test('cut at any byte is malformed, or ends between two messages', () => {
    const parts = [add, closeMessage('1'), add].map((one) => encodeCompact(MsgpackCodec, one, 5, LIMIT));
    const frame = encodeCompactFrame(1, 2, 0, parts);
    const ends = [3, 3 + (parts[0]?.length ?? 0), 3 + (parts[0]?.length ?? 0) + (parts[1]?.length ?? 0)];
    for (let length = 0; length < frame.length; length++) {
      expect(faultOf(frame.subarray(0, length)) === undefined, `cut at ${length}`).toBe(ends.includes(length));
    }
  });

  test.each([
    ['no bytes', ''],
    ['unknown flags', '00 00 02'],
    ['a number that never ends', 'ff ff ff ff ff ff ff ff ff ff 00'],
    ['a number above 2^53 − 1', 'ff ff ff ff ff ff ff 1f 00 00'],
    ['a message longer than the frame', '00 00 00 7f 00 01 c0'],
    ['an empty message', '00 00 00 00'],
    ['stream 0 that is no re-handshake', '00 00 00 03 00 00 c0'],
    ['a re-handshake on another stream', '00 00 00 03 20 01 c0'],
    ['a payload where there is none', '00 00 00 03 10 01 c0'],
    ['no payload where there is one', '00 00 00 02 00 01'],
    ['a name longer than its message', '00 00 00 06 02 01 7f 61 01 61'],
    ['a name that is no UTF-8', '00 00 00 07 02 01 01 ff 01 61 c0'],
  ])('of %s is malformed, with a reason', (_what, bytes) => {
    expect(faultOf(bytesOf(bytes))).toMatch(/^(compact|unknown)/);
  });

  test('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        faultOf(bytes);
      }),
      { numRuns: 5_000 },
    );
  });

  test('of a message that is too large is refused when it is made', () => {
    const payload = 'x'.repeat(1_000);
    const size = encodeCompact(JsonCodec, { ...add, payload }, undefined, LIMIT).length;
    expect(() => encodeCompact(JsonCodec, { ...add, payload }, undefined, size)).toThrow(MessageTooLargeError);
    expect(() => encodeCompact(JsonCodec, { ...add, payload }, undefined, size + 32)).not.toThrow();
  });
});
