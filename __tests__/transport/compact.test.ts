import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import { CompactFrameReader } from '../../transport/compactReader.ts';
import { MessageTooLargeError } from '../../transport/errors.ts';
import { ControlFlags, closeMessage, type OutgoingMessage, rehandshakeRequest } from '../../transport/message.ts';
import { SharedPayload } from '../../transport/sharedPayload.ts';
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
  while (reader.hasMore) {
    const message = reader.next();
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
    ['an opening message', [add], '08 00 00 0a 01 04 6d617468 03 616464 81 a1 6e 03'],
    ['a close', [closeMessage('300')], '08 00 00 18 ac02'],
    ['a re-handshake', [rehandshakeRequest()], '08 00 00 20 00 81 a4 74797065 af 524548414e445348414b455f524551'],
    ['a stream with a name', [{ streamId: 's1', controlFlags: 0, payload: 1 }], '08 00 00 01 02 7331 01'],
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
        fc.constantFrom({ type: 'CLOSE' }, { type: 'CLOSE', id: 5 }),
        fc.constantFrom(
          { ok: true, payload: 5 },
          { ok: true, payload: { n: 1 } },
          { ok: true },
          { ok: 1, payload: 2 },
          { ok: true, payload: 1, more: 1 },
          { ok: false, payload: { code: 'X', message: '' } },
        ),
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
          expect([reader.firstSeq, reader.ack, reader.flags]).toEqual([firstSeq, ack, sent.length === 1 ? 8 : 0]);
          for (const [i, [one, deadline]] of sent.entries()) {
            if (i < skipped) {
              expect(reader.skip()).toBeUndefined();
              continue;
            }
            const isOpening = (one.controlFlags & 2) !== 0;
            const isTraced = isOpening && one.tracing?.traceparent !== '';
            expect(reader.next()).toEqual({
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

  test('of an opening message without a payload has none, also where it closes its half', () => {
    const part = encodeCompact(MsgpackCodec, { ...add, controlFlags: 10, payload: undefined }, undefined, LIMIT);
    expect(open(encodeCompactFrame(0, 0, 0, [part])).next()).toMatchObject({ controlFlags: 10, payload: undefined });
  });

  test('that follows another says what is new, and stands where that one ended', () => {
    const part = encodeCompact(MsgpackCodec, closeMessage('1'), undefined, LIMIT);
    const first = open(encodeCompactFrame(1_000, 500, 0, [part, part]));
    while (first.hasMore) first.next();
    const frame = encodeCompactFrame(1_002, 503, 0, [part], [], first.ack);
    expect(hex(frame)).toBe(hex(bytesOf('0c ea 03 18 01')));
    const second = CompactFrameReader.open(MsgpackCodec, frame, first.nextSeq, first.ack);
    expect(second).toMatchObject({ firstSeq: 1_002, ack: 503 });
    // A frame was lost in between, which no network does: it shows.
    expect(CompactFrameReader.open(MsgpackCodec, frame, first.nextSeq - 2, first.ack)).toMatchObject({
      firstSeq: 1_002,
    });
    expect(CompactFrameReader.open(MsgpackCodec, frame, first.nextSeq - 255, first.ack)).toMatchObject({
      firstSeq: 1_002,
    });
  });

  test('of one large message is made in its own memory, again and again', () => {
    const payload = 'x'.repeat(5_000);
    const part = encodeCompact(MsgpackCodec, { ...add, payload }, undefined, LIMIT);
    for (const [seq, ack] of [
      [1, 2],
      [2 ** 40, 2 ** 41],
      [0, 0],
    ] as const) {
      const frame = encodeCompactFrame(seq, ack, 0, [part], [{ stream: 7, limit: 9_000 }]);
      expect(frame.buffer).toBe(part.buffer);
      const reader = open(frame);
      expect(reader).toMatchObject({ firstSeq: seq, ack, credits: [{ stream: 7, limit: 9_000 }] });
      expect(reader.next()).toMatchObject({ payload, serviceName: 'math' });
    }
    // More than there is room for before it: then it is copied.
    const credits = Array.from({ length: 20 }, (_, stream) => ({ stream, limit: 2 ** 40 }));
    const copied = encodeCompactFrame(1, 2, 0, [part], credits);
    expect(copied.buffer).not.toBe(part.buffer);
    expect(open(copied).next()).toMatchObject({ payload });
  });

  test('cut at any byte is malformed, or ends between two messages', () => {
    const parts = [add, closeMessage('1'), add].map((one) => encodeCompact(MsgpackCodec, one, 5, LIMIT));
    const frame = encodeCompactFrame(1, 2, 0, parts);
    // Each has its length before it, in one byte.
    const ends = [3, 4 + (parts[0]?.length ?? 0), 5 + (parts[0]?.length ?? 0) + (parts[1]?.length ?? 0)];
    for (let length = 0; length < frame.length; length++) {
      expect(faultOf(frame.subarray(0, length)) === undefined, `cut at ${length}`).toBe(ends.includes(length));
    }
  });

  test.each([
    ['no bytes', ''],
    ['unknown flags', '10 00 00'],
    ['a number that never ends', '00 ff ff ff ff ff ff ff ff ff ff 00'],
    ['a number above 2^53 − 1', '00 ff ff ff ff ff ff ff 1f 00'],
    ['limits that are not there', '02 00 00 01 05'],
    ['more limits than the frame has bytes', '02 00 00 ff ff 03'],
    ['one message, which is not there', '08 00 00'],
    ['a follower of nothing', '04 00 00'],
    ['an ok result without a payload', '08 00 00 50 01'],
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

describe('a payload that is shared', () => {
  const event = { ok: true, payload: { text: 'x'.repeat(200) } };
  const message = (payload: unknown, controlFlags = 0) => ({ streamId: '5', controlFlags, payload });

  test.each([0, ControlFlags.StreamClose])('is encoded as one that is not (flags %d)', (controlFlags) => {
    const shared = new SharedPayload(event);
    for (const stream of [5, 5, 700]) {
      const alone = encodeCompact(JsonCodec, message(event, controlFlags), undefined, LIMIT, stream);
      expect(encodeCompact(JsonCodec, message(shared, controlFlags), undefined, LIMIT, stream)).toEqual(alone);
    }
  });

  test('has to fit each session by itself', () => {
    const shared = new SharedPayload(event);
    encodeCompact(JsonCodec, message(shared), undefined, LIMIT, 5);
    expect(() => encodeCompact(JsonCodec, message(shared), undefined, 200, 5)).toThrow(MessageTooLargeError);
  });

  test('and large has memory of its own for whoever is first, and one for all others', () => {
    const shared = new SharedPayload({ ok: true, payload: { text: 'x'.repeat(5_000) } });
    const [first, second, third, other] = [5, 5, 5, 6].map((stream) =>
      encodeCompact(JsonCodec, message(shared), undefined, LIMIT, stream),
    );
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    expect(other).not.toEqual(second);
  });
});
