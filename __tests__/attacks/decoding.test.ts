import { describe, expect, test } from 'vitest';
import { CodecError, JsonCodec, MsgpackCodec } from '../../codec/index.ts';
import { messageOf } from '../support/barePeer.ts';
import { bytesKeptBy, expectMemoryBack, liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": bombs and nesting; invalid UTF-8, NaN, lone surrogates, truncation at every
 * byte. Codec by codec, without sockets: codec.test.ts and msgpackCodec.test.ts; frames that end a session: all of
 * transport/badInput.test.ts. Here: how long and how much memory, and beside an honest client on real sockets.
 */

const MAX_MS = 10;
const MAX_BYTES = 20 * 1024 * 1024;
const MEBI = 1024 * 1024;

function repeated(hex: string, bytes: number): Uint8Array {
  return Buffer.alloc(bytes, Buffer.from(hex, 'hex'));
}

const text = (what: string) => new TextEncoder().encode(what);

const bombs = [
  { what: '500 bytes of arrays that claim 30 million items', codec: MsgpackCodec, frame: repeated('dd01c9c380', 500) },
  { what: '1 MiB of arrays that claim 30 million items', codec: MsgpackCodec, frame: repeated('dd01c9c380', MEBI) },
  { what: '500 bytes of maps that claim 30 million entries', codec: MsgpackCodec, frame: repeated('df01c9c380', 500) },
  {
    what: 'an array that claims one item for each byte left',
    codec: MsgpackCodec,
    frame: repeated('dd000fffe0', MEBI),
  },
  { what: 'text that claims 4 GiB', codec: MsgpackCodec, frame: repeated('dbffffffff', 500) },
  { what: 'bytes that claim 4 GiB', codec: MsgpackCodec, frame: repeated('c6ffffffff', 500) },
  { what: 'an extension that claims 4 GiB', codec: MsgpackCodec, frame: repeated('c9ffffffff00', 500) },
  { what: 'arrays of one, 1 M deep', codec: MsgpackCodec, frame: repeated('91', MEBI) },
  { what: 'maps of one, 500 000 deep', codec: MsgpackCodec, frame: repeated('81a0', MEBI) },
  { what: 'a bigint inside of a bigint, 170 000 deep', codec: MsgpackCodec, frame: repeated('c900ffffff00', MEBI) },
  { what: 'brackets, 1 M deep', codec: JsonCodec, frame: repeated('5b', MEBI) },
  { what: 'objects, 200 000 deep', codec: JsonCodec, frame: text('{"a":'.repeat(200_000)) },
  {
    what: 'arrays that all end, 500 000 deep',
    codec: JsonCodec,
    frame: text('['.repeat(MEBI / 2) + ']'.repeat(MEBI / 2)),
  },
  { what: 'a bigint of a million digits', codec: JsonCodec, frame: text(`{"$b":"${'9'.repeat(MEBI - 10)}"}`) },
];

describe('a bomb', () => {
  test.each(bombs)('of $what is an error within 10 ms and costs no memory', async ({ codec, frame }) => {
    const attempt = () => {
      const startedAt = performance.now();
      expect(() => codec.fromBuffer(frame)).toThrow(CodecError);
      return performance.now() - startedAt;
    };
    // The quickest of some: what a busy machine adds is not the codec's.
    expect(Math.min(...Array.from({ length: 5 }, attempt))).toBeLessThan(MAX_MS);
    const before = process.memoryUsage();
    attempt();
    const after = process.memoryUsage();
    // Also while it runs, as far as it has not been collected already.
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(MAX_BYTES);
    expect(await bytesKeptBy(() => expect(() => codec.fromBuffer(frame)).toThrow(CodecError))).toBeLessThan(MEBI);
  });
});

describe.each(kinds)('bombs over %s', (kind) => {
  test('end their own connection or session, before and after the handshake', async () => {
    await using site = await Site.open(kind);
    // A first frame longer than this would be refused for its length alone.
    const fitting = bombs.map(({ frame, codec }) => ({ codec, frame: frame.subarray(0, MEBI) }));
    const round = async () => {
      for (const { codec, frame } of fitting) {
        using stranger = await site.dial(codec);
        stranger.sendBytes(frame);
        await stranger.closed();
        expect(stranger.messages).toEqual([]);
        using peer = await site.dial(codec);
        expect(await peer.handshake()).toMatchObject({ ok: true });
        peer.sendBytes(frame);
        await peer.closed();
      }
    };
    await round();
    const before = await liveBytes();
    await round();
    await expectMemoryBack(before);
    expect(site.transport.pendingHandshakes).toBe(0);
    expect([...site.transport.sessions.keys()]).toEqual(['honest']);
  });

  test.each([JsonCodec, MsgpackCodec])('a handshake cut at any byte in $name makes no session', async (codec) => {
    await using site = await Site.open(kind);
    const request = codec.toBuffer({ ...messageOf({ streamId: 'handshake' }), payload: { type: 'HANDSHAKE_REQ' } });
    for (let end = 0; end < request.length; end++) {
      using peer = await site.dial(codec);
      peer.sendBytes(request.subarray(0, end));
      await peer.closed();
    }
    expect([...site.transport.sessions.keys()]).toEqual(['honest']);
  });

  test('bytes that are no text, in a request, end that session only', async () => {
    await using site = await Site.open(kind);
    for (const bad of ['ff', 'c0af', 'eda080', 'f8888080', '80', 'f4908080']) {
      for (const codec of [JsonCodec, MsgpackCodec]) {
        using peer = await site.dial(codec);
        await peer.handshake();
        const frame = Buffer.from(codec.toBuffer(messageOf({ payload: 'x'.repeat(bad.length / 2) })));
        const at = frame.lastIndexOf('x'.repeat(bad.length / 2));
        frame.set(Buffer.from(bad, 'hex'), at);
        peer.sendBytes(frame);
        await peer.closed();
      }
    }
    expect([...site.transport.sessions.keys()]).toEqual(['honest']);
  });

  test.each([
    { value: Number.NaN, codec: MsgpackCodec },
    { value: Number.POSITIVE_INFINITY, codec: MsgpackCodec },
    { value: Number.NaN, codec: JsonCodec },
    { value: '\ud800', codec: JsonCodec },
    { value: 2n ** 200n, codec: MsgpackCodec },
  ])('$value where $codec.name was to bring a number is an invalid request, and the session lives', async (set) => {
    await using site = await Site.open(kind);
    using peer = await site.dial(set.codec);
    await peer.handshake();
    const call = (seq: number, n: unknown) =>
      messageOf({
        seq,
        streamId: `s${seq}`,
        controlFlags: 10,
        serviceName: 'math',
        procedureName: 'add',
        payload: { n },
      });
    peer.send(call(0, set.value));
    expect(await peer.next()).toMatchObject({ controlFlags: 4, payload: { payload: { code: 'INVALID_REQUEST' } } });
    peer.send(call(1, 2));
    expect(await peer.next()).toMatchObject({ payload: { ok: true, payload: { result: 2 } } });
  });

  test.each([JsonCodec, MsgpackCodec])('a lone surrogate in user data of $name harms nobody', async (codec) => {
    await using site = await Site.open(kind);
    using peer = await site.dial(codec);
    await peer.handshake();
    const names = { serviceName: 'math', procedureName: 'types' };
    peer.send(messageOf({ controlFlags: 10, ...names, payload: { lone: '\udc00 alone' } }));
    // UTF-8 has no form for one: MessagePack replaces it when it is written, JSON escapes it.
    const lone = codec === JsonCodec ? '\udc00 alone' : '\ufffd alone';
    expect(await peer.next()).toMatchObject({ payload: { ok: true, payload: { lone } } });
  });
});
