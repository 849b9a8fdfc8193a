import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { createHarness, type Harness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ServerTransportOptions } from '../../transport/options.ts';
import { BarePeer, messageOf, requestOf, statusOf } from '../support/barePeer.ts';
import { Echo } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

describe.each(matrix)('the handshake of a server over $name', ({ transport, codec }) => {
  /** A server with a session in which 3 messages came and 3 answers went, of which the client confirmed 2. */
  async function establish(options: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server(options);
    const echo = new Echo(server);
    const events = new TransportEventLog(server);
    const first = await dial(harness);
    expect(await first.handshake()).toMatchObject({ ok: true });
    for (let seq = 0; seq < 3; seq++) {
      first.send(messageOf({ seq, ack: Math.min(seq, 2), payload: seq }));
      expect(await first.next()).toMatchObject({ seq, payload: seq });
    }
    expect(echo.received).toHaveLength(3);
    return {
      harness,
      server,
      echo,
      events,
      first,
      /** That the session goes on over its first connection as if nothing had happened. */
      async expectUntouched() {
        expect(first.isClosed).toBe(false);
        const seq = echo.received.length;
        first.send(messageOf({ seq, ack: seq, payload: 'still here' }));
        expect(await first.next()).toMatchObject({ seq, payload: 'still here' });
        expect([...server.sessions.values()].map(({ id, state }) => `${id} ${state}`)).toEqual(['session-1 Connected']);
        expect(events.ends).toEqual([]);
      },
      async [Symbol.asyncDispose]() {
        echo.end();
        await harness[Symbol.asyncDispose]();
      },
    };
  }

  async function dial(harness: Harness): Promise<BarePeer> {
    return new BarePeer(await harness.link.dial('SERVER'), codec);
  }

  test('with both numbers 0 begins a session under the client’s id; the answer is the first frame', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const events = new TransportEventLog(server);
    using peer = await dial(harness);
    peer.send(requestOf({ from: 'me', sessionId: 'mine' }));
    const answer = await peer.next();
    expect(answer).toEqual({
      id: expect.any(String),
      from: 'SERVER',
      to: 'me',
      seq: 0,
      ack: 0,
      streamId: expect.any(String),
      controlFlags: 0,
      payload: { type: 'HANDSHAKE_RESP', status: { ok: true, sessionId: 'mine' } },
    });
    expect(events.lines).toEqual(['created mine', 'Connected']);
    expect(server.sessions.get('me')?.id).toBe('mine');
  });

  test.each([
    { nextExpectedSeq: 1, nextSentSeq: 0 },
    { nextExpectedSeq: 0, nextSentSeq: 1 },
    { nextExpectedSeq: 3, nextSentSeq: 3 },
  ])('of a session that the server lost ($nextExpectedSeq, $nextSentSeq) is a mismatch', async (state) => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const events = new TransportEventLog(server);
    using peer = await dial(harness);
    expect(await peer.handshake({ state })).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
    await peer.closed();
    expect(server.sessions.size).toBe(0);
    expect(server.pendingHandshakes).toBe(0);
    expect(events.lines).toEqual(['error handshake_failed SESSION_STATE_MISMATCH']);
  });

  test.each([
    { why: 'the client is in the future', state: { nextExpectedSeq: 3, nextSentSeq: 4 } },
    { why: 'the server is in the future', state: { nextExpectedSeq: 1, nextSentSeq: 3 } },
    { why: 'the client expects what was never sent', state: { nextExpectedSeq: 4, nextSentSeq: 3 } },
    { why: 'the client has begun anew under the same id', state: { nextExpectedSeq: 0, nextSentSeq: 0 } },
  ])('is a mismatch, and touches nothing, where $why', async ({ state }) => {
    await using set = await establish();
    using peer = await dial(set.harness);
    expect(await peer.handshake({ state })).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
    await peer.closed();
    await set.expectUntouched();
  });

  test.each([
    { nextExpectedSeq: 2, nextSentSeq: 3, resent: [2] },
    { nextExpectedSeq: 3, nextSentSeq: 3, resent: [] },
    { nextExpectedSeq: 2, nextSentSeq: 0, resent: [2] },
  ])(
    'resumes over a live connection and sends again exactly $resent',
    async ({ nextExpectedSeq, nextSentSeq, resent }) => {
      await using set = await establish();
      using peer = await dial(set.harness);
      const status = await peer.handshake({ state: { nextExpectedSeq, nextSentSeq } });
      expect(status).toEqual({ ok: true, sessionId: 'session-1' });
      await set.first.closed();
      await set.harness.settled();
      expect(peer.messages.slice(1).map(({ seq }) => seq)).toEqual(resent);
      expect(set.events.ends).toEqual([]);
      peer.send(messageOf({ seq: 3, ack: 3, payload: 'resumed' }));
      for (const _ of resent) await peer.next();
      expect(await peer.next()).toMatchObject({ seq: 3, ack: 4, payload: 'resumed' });
    },
  );

  test('resumes after the connection was lost, within the grace period, and sends again exactly what was missed', async () => {
    await using set = await establish();
    set.first.close();
    await set.harness.settled();
    expect(set.server.sessions.get('client-1')?.state).toBe('NoConnection');
    const core = set.server.sessions.get('client-1')?.core;
    for (const payload of ['a', 'b']) core?.send({ streamId: 's1', controlFlags: 0, payload });
    await set.harness.advance(29_000);
    using peer = await dial(set.harness);
    expect(await peer.handshake({ state: { nextExpectedSeq: 3, nextSentSeq: 3 } })).toMatchObject({ ok: true });
    await set.harness.settled();
    expect(peer.messages.slice(1).map(({ seq, payload }) => [seq, payload])).toEqual([
      [3, 'a'],
      [4, 'b'],
    ]);
    expect(set.events.lines).toEqual(['created session-1', 'Connected', 'NoConnection', 'Connected']);
  });

  test('under another session id with both numbers 0 ends the old session and begins a new one', async () => {
    await using set = await establish();
    using peer = await dial(set.harness);
    set.events.clear();
    expect(await peer.handshake({ sessionId: 'session-2' })).toMatchObject({ ok: true, sessionId: 'session-2' });
    await set.first.closed();
    expect(set.events.lines).toEqual([
      'closing session-1 peer_replaced',
      'closed session-1 peer_replaced',
      'created session-2',
      'Connected',
    ]);
    expect(set.echo.ends).toEqual(['peer_replaced']);
    expect([...set.server.sessions.values()].map(({ id }) => id)).toEqual(['session-2']);
  });

  test('under another session id with any number above 0 is a mismatch and touches nothing', async () => {
    await using set = await establish();
    for (const state of [
      { nextExpectedSeq: 3, nextSentSeq: 0 },
      { nextExpectedSeq: 0, nextSentSeq: 3 },
    ]) {
      using peer = await dial(set.harness);
      expect(await peer.handshake({ sessionId: 'session-2', state })).toMatchObject({ code: 'SESSION_STATE_MISMATCH' });
      await peer.closed();
    }
    await set.expectUntouched();
  });

  test.each([
    { what: 'another version', request: requestOf({ protocolVersion: 'v1.1' }), code: 'PROTOCOL_VERSION_MISMATCH' },
    { what: 'an empty version', request: requestOf({ protocolVersion: '' }), code: 'PROTOCOL_VERSION_MISMATCH' },
    { what: 'another server’s id', request: requestOf({ to: 'OTHER' }), code: 'MALFORMED_HANDSHAKE' },
    { what: 'no handshake', request: messageOf({ payload: { hello: 'world' } }), code: 'MALFORMED_HANDSHAKE' },
    { what: 'no payload', request: messageOf({ payload: null }), code: 'MALFORMED_HANDSHAKE' },
    { what: 'a seq', request: { ...requestOf(), seq: 1 }, code: 'MALFORMED_HANDSHAKE' },
    { what: 'an ack', request: { ...requestOf(), ack: 1 }, code: 'MALFORMED_HANDSHAKE' },
    { what: 'a flag', request: { ...requestOf(), controlFlags: 2 }, code: 'MALFORMED_HANDSHAKE' },
  ])('with $what is answered $code, and touches nothing', async ({ request, code }) => {
    await using set = await establish();
    using peer = await dial(set.harness);
    peer.send(request);
    expect(statusOf(await peer.next())).toMatchObject({ ok: false, code, reason: expect.any(String) });
    await peer.closed();
    expect(peer.messages).toHaveLength(1);
    expect(set.events.codes).toEqual([code]);
    await set.expectUntouched();
  });

  test('with a field of the wrong shape is malformed, whichever field and value, and touches nothing', async () => {
    await using set = await establish();
    const notCounters = [undefined, null, -1, 1.5, '0', {}, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 2n];
    const wrong: [field: string, values: unknown[]][] = [
      ['type', [undefined, null, 5, 'HANDSHAKE_RESP', 'handshake_req', {}]],
      ['protocolVersion', [undefined, null, 2, {}]],
      ['sessionId', [undefined, null, 5, '', {}, []]],
      ['expectedSessionState', [undefined, null, 5, 'x', [], {}]],
      ['nextExpectedSeq', notCounters],
      ['nextSentSeq', notCounters],
    ];
    const survived: string[] = [];
    for (const [field, values] of wrong) {
      for (const value of values) {
        const request = requestOf();
        const payload = request['payload'] as Record<string, unknown>; // requestOf made it
        const counts = field.startsWith('next');
        const state = { nextExpectedSeq: 0, nextSentSeq: 0, ...(counts ? { [field]: value } : {}) };
        request['payload'] = { ...payload, expectedSessionState: state, ...(counts ? {} : { [field]: value }) };
        using peer = await dial(set.harness);
        peer.send(request);
        const { ok, code } = statusOf(await peer.next());
        await peer.closed();
        if (ok || code !== 'MALFORMED_HANDSHAKE') survived.push(`${field}: ${String(value)} → ${code}`);
      }
    }
    expect(survived).toEqual([]);
    await set.expectUntouched();
  });

  test('that names somebody else’s session is refused, and the victim notices nothing', async () => {
    await using set = await establish();
    using peer = await dial(set.harness);
    // Another client id, with the victim's session id and its numbers.
    expect(await peer.handshake({ from: 'mallory', state: { nextExpectedSeq: 3, nextSentSeq: 3 } })).toMatchObject({
      ok: false,
      code: 'SESSION_STATE_MISMATCH',
    });
    await peer.closed();
    await set.expectUntouched();
    using second = await dial(set.harness);
    expect(await second.handshake({ from: 'mallory' })).toMatchObject({ ok: true });
    expect([...set.server.sessions.keys()]).toEqual(['client-1', 'mallory']);
    expect(set.first.isClosed).toBe(false);
  });

  test('with a first frame that is no message closes the connection without an answer', async () => {
    await using set = await establish();
    for (const frame of [
      new Uint8Array([0xc1]),
      new Uint8Array([1, 2, 3]),
      new TextEncoder().encode('[]'),
      new Uint8Array(0),
    ]) {
      using peer = await dial(set.harness);
      peer.sendBytes(frame);
      await peer.closed();
      expect(peer.messages).toEqual([]);
    }
    expect(new Set(set.events.codes)).toEqual(new Set(['MALFORMED_HANDSHAKE']));
    await set.expectUntouched();
  });
});

describe.each(matrix)('dials that overtake each other over $name', ({ transport, codec }) => {
  async function setup() {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server();
    const events = new TransportEventLog(server);
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    return {
      harness,
      server,
      events,
      dial,
      [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
    };
  }

  test('a dial that its client gave up neither takes over nor ends what its successor made', async () => {
    await using set = await setup();
    using late = await set.dial();
    await set.harness.settled();
    using successor = await set.dial();
    expect(await successor.handshake()).toMatchObject({ ok: true });
    late.send(requestOf());
    await late.closed();
    expect(late.messages).toEqual([]);
    expect(successor.isClosed).toBe(false);
    expect(set.events.lines).toEqual(['created session-1', 'Connected']);
    expect(set.server.pendingHandshakes).toBe(0);
  });

  test('a late dial with another session id does not replace the session either', async () => {
    await using set = await setup();
    using late = await set.dial();
    await set.harness.settled();
    using successor = await set.dial();
    expect(await successor.handshake({ sessionId: 'session-2' })).toMatchObject({ ok: true });
    late.send(requestOf({ sessionId: 'session-1' }));
    await late.closed();
    expect(late.messages).toEqual([]);
    expect([...set.server.sessions.values()].map(({ id, state }) => `${id} ${state}`)).toEqual(['session-2 Connected']);
  });

  test('a late dial does not resume while its successor’s connection is lost', async () => {
    await using set = await setup();
    using late = await set.dial();
    await set.harness.settled();
    using successor = await set.dial();
    await successor.handshake();
    successor.close();
    await set.harness.settled();
    expect(set.server.sessions.get('client-1')?.state).toBe('NoConnection');
    late.send(requestOf());
    await late.closed();
    expect(late.messages).toEqual([]);
    expect(set.server.sessions.get('client-1')?.state).toBe('NoConnection');
    using third = await set.dial();
    expect(await third.handshake()).toMatchObject({ ok: true });
  });

  test('the order of dials counts, not the order in which their validation ends', async () => {
    await using set = await setup();
    const verdicts: ((metadata: object) => void)[] = [];
    set.server.setHandshake({
      checkMetadata: () => undefined,
      validate: () =>
        new Promise((resolve) => {
          verdicts.push(resolve);
        }),
    });
    using older = await set.dial();
    older.send(requestOf());
    await set.harness.settled();
    using newer = await set.dial();
    newer.send(requestOf());
    await set.harness.settled();
    expect(verdicts).toHaveLength(2);
    verdicts[1]?.({});
    expect(statusOf(await newer.next())).toMatchObject({ ok: true });
    verdicts[0]?.({});
    await older.closed();
    expect(older.messages).toEqual([]);
    expect(newer.isClosed).toBe(false);
    expect(set.events.lines).toEqual(['created session-1', 'Connected']);
  });
});

describe.each(['memory', 'ws', 'unix'] as const)('codecs over %s', (transport) => {
  test('one server serves both at once, each in its own', async () => {
    await using harness = await createHarness({ transport, codec: JsonCodec });
    const server = harness.server();
    const echo = new Echo(server);
    const peers = [];
    for (const codec of [JsonCodec, MsgpackCodec]) {
      const peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      peers.push(peer);
      expect(await peer.handshake({ from: codec.name, sessionId: codec.name })).toMatchObject({ ok: true });
      peer.send(messageOf({ from: codec.name, payload: { bytes: new Uint8Array([1, 2]), big: 2n ** 70n } }));
    }
    for (const peer of peers)
      expect(await peer.next()).toMatchObject({ payload: { bytes: new Uint8Array([1, 2]), big: 2n ** 70n } });
    echo.end();
    for (const peer of peers) peer.close();
  });

  test('a resume in another codec is a mismatch, and the session stays as it was', async () => {
    await using harness = await createHarness({ transport, codec: JsonCodec });
    const server = harness.server();
    using first = new BarePeer(await harness.link.dial('SERVER'), JsonCodec);
    await first.handshake();
    using other = new BarePeer(await harness.link.dial('SERVER'), MsgpackCodec);
    expect(await other.handshake()).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
    await other.closed();
    expect(first.isClosed).toBe(false);
    expect(server.sessions.get('client-1')?.state).toBe('Connected');
  });
});

describe.each(matrix)('extensions over $name', ({ transport, codec }) => {
  const kept = { instance: 'i1', ttlMs: 1_000, durable: false };
  const offers: { offer: unknown; answer: unknown }[] = [
    { offer: undefined, answer: undefined },
    { offer: {}, answer: {} },
    { offer: { heartbeat: {} }, answer: { heartbeat: { intervalMs: 3_000, misses: 4 } } },
    { offer: { deadline: {} }, answer: { deadline: {} } },
    { offer: { heartbeat: {}, deadline: {} }, answer: { heartbeat: { intervalMs: 3_000, misses: 4 }, deadline: {} } },
    { offer: { teleport: { speed: 9 } }, answer: {} },
    { offer: { heartbeat: 5, deadline: null, idempotency: true }, answer: {} },
    { offer: { idempotency: {} }, answer: { idempotency: kept } },
    { offer: { ['__proto__']: {}, constructor: {}, toString: {} }, answer: {} },
  ];

  test('the answer accepts the subset that the server knows', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server({ heartbeatIntervalMs: 3_000, heartbeatsUntilDead: 4 }).setIdempotency(kept);
    for (const [index, { offer, answer }] of offers.entries()) {
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      const status = await peer.handshake({ from: `client-${index}`, extensions: offer });
      expect(status.extensions).toEqual(answer);
      expect('extensions' in status).toBe(answer !== undefined);
    }
  });

  test('idempotency is not accepted where nobody keeps outcomes', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    using first = new BarePeer(await harness.link.dial('SERVER'), codec);
    expect((await first.handshake({ extensions: { idempotency: {} } })).extensions).toEqual({});
    // Nor where they are kept in another way than the session was told: it ends, as with a server that restarted.
    server.setIdempotency(kept);
    using second = new BarePeer(await harness.link.dial('SERVER'), codec);
    const again = { extensions: { idempotency: {} } };
    expect(await second.handshake(again)).toMatchObject({ code: 'SESSION_STATE_MISMATCH' });
    using third = new BarePeer(await harness.link.dial('SERVER'), codec);
    expect(await third.handshake({ ...again, sessionId: 'session-2' })).toMatchObject({ ok: true });
    for (const change of [{ instance: 'i2' }, { ttlMs: 2_000 }, { durable: true }]) {
      server.setIdempotency({ ...kept, ...change });
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      expect(await peer.handshake({ ...again, sessionId: 'session-2' })).toMatchObject({
        code: 'SESSION_STATE_MISMATCH',
      });
    }
  });

  test('what the server has switched off is not accepted', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server({ extensions: { heartbeat: false } });
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    expect((await peer.handshake({ extensions: { heartbeat: {}, deadline: {} } })).extensions).toEqual({
      deadline: {},
    });
  });

  test('extensions that are no object are malformed', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server();
    for (const extensions of [null, 5, 'heartbeat', []]) {
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      expect(await peer.handshake({ extensions })).toMatchObject({ ok: false, code: 'MALFORMED_HANDSHAKE' });
      await peer.closed();
    }
  });

  test('a resume that would come out with others is a mismatch, and the session stays as it was', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    using first = new BarePeer(await harness.link.dial('SERVER'), codec);
    await first.handshake({ extensions: { heartbeat: {}, deadline: {} } });
    for (const extensions of [undefined, {}, { heartbeat: {} }, { deadline: {} }]) {
      using other = new BarePeer(await harness.link.dial('SERVER'), codec);
      expect(await other.handshake({ extensions })).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
      await other.closed();
    }
    expect(first.isClosed).toBe(false);
    using same = new BarePeer(await harness.link.dial('SERVER'), codec);
    const status = await same.handshake({ extensions: { deadline: {}, heartbeat: {}, teleport: {} } });
    expect(status).toMatchObject({ ok: true, extensions: { heartbeat: {}, deadline: {} } });
    await first.closed();
    expect(server.sessions.get('client-1')?.state).toBe('Connected');
  });
});
