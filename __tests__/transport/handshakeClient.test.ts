import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ClientTransportOptions } from '../../transport/options.ts';
import { type BarePeer, messageOf, sessionIdOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import { allExtensions, noExtensions } from '../support/extensions.ts';
import { Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const HOUR_MS = 3_600_000;

describe.each(matrix)('the handshake of a client over $name', ({ transport, codec }) => {
  /** A client, and a server played by hand. */
  async function setup(options: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    harness.clock.random = () => 0;
    const server = new BareServer(harness.link, codec);
    const client = harness.client(options, 'client-1');
    const events = new TransportEventLog(client);
    return {
      harness,
      server,
      client,
      events,
      async [Symbol.asyncDispose]() {
        server[Symbol.dispose]();
        await harness[Symbol.asyncDispose]();
      },
    };
  }

  test('asks with its session id, its numbers and what it speaks', async () => {
    await using set = await setup({ extensions: allExtensions });
    set.client.connect('SERVER');
    const peer = await set.server.accepted();
    const request = await peer.next();
    expect(request).toEqual({
      id: expect.any(String),
      from: 'client-1',
      to: 'SERVER',
      seq: 0,
      ack: 0,
      streamId: expect.any(String),
      controlFlags: 0,
      tracing: { traceparent: '', tracestate: '' },
      payload: {
        type: 'HANDSHAKE_REQ',
        protocolVersion: 'v2.0',
        sessionId: set.client.findSession('SERVER')?.id,
        expectedSessionState: { nextExpectedSeq: 0, nextSentSeq: 0 },
        extensions: {
          heartbeat: {},
          deadline: {},
          compact: {},
          credit: { windowBytes: 256 * 1024 },
          idempotency: {},
          resume: { token: expect.stringMatching(/^\w{24}$/), everConnected: false, nextSeq: 0 },
        },
      },
    });
  });

  test('offers nothing where every extension is switched off, as River’s clients do', async () => {
    await using set = await setup({ extensions: noExtensions });
    set.client.connect('SERVER');
    const peer = await set.server.accepted();
    expect((await peer.next()).payload).not.toHaveProperty('extensions');
  });

  test('sends nothing else before the answer, and everything that waited right after it', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({ n: 0 });
    call.send({ n: 1 });
    const peer = await set.server.accepted();
    const request = await peer.next();
    await set.harness.settled();
    expect(peer.messages).toHaveLength(1);
    peer.answer(request, { ok: true, sessionId: sessionIdOf(request) });
    expect(await peer.next()).toMatchObject({ seq: 0, streamId: 's1', controlFlags: 2, payload: { n: 0 } });
    expect(await peer.next()).toMatchObject({ seq: 1, streamId: 's1', controlFlags: 0, payload: { n: 1 } });
    call.end();
  });

  test('says after a cut where it stands, and sends again whatever is not confirmed', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open(0);
    const first = await set.server.accepted();
    await first.acceptHandshake();
    await first.next();
    for (let n = 1; n < 5; n++) call.send(n);
    // The server got the messages 0 and 1, and has sent 2 of its own.
    for (const [seq, ack] of [
      [0, 1],
      [1, 2],
    ])
      first.send(messageOf({ from: 'SERVER', to: 'client-1', seq, ack, payload: seq }));
    await set.harness.settled();
    first.close();
    await set.harness.advance(200);
    const second = await set.server.accepted();
    const request = await second.next();
    expect(request.payload).toMatchObject({
      sessionId: call.port.id,
      expectedSessionState: { nextExpectedSeq: 2, nextSentSeq: 2 },
    });
    second.answer(request, { ok: true, sessionId: call.port.id });
    await set.harness.settled();
    expect(second.messages.slice(1).map(({ seq, payload }) => [seq, payload])).toEqual([
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(call.payloads).toEqual([0, 1]);
    call.end();
  });

  test('that is answered with a mismatch ends the session, and the next one dials by itself', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    const first = await set.server.accepted();
    const request = await first.next();
    first.answer(request, { ok: false, code: 'SESSION_STATE_MISMATCH', reason: 'unknown' });
    await set.harness.settled();
    expect(call.ends).toEqual(['state_mismatch']);
    expect(set.events.codes).toEqual(['SESSION_STATE_MISMATCH']);
    await set.harness.advance(200);
    const second = await set.server.accepted();
    const again = await second.next();
    expect(sessionIdOf(again)).not.toBe(sessionIdOf(request));
    expect(again.payload).toMatchObject({ expectedSessionState: { nextExpectedSeq: 0, nextSentSeq: 0 } });
    expect(call.ends).toHaveLength(1);
  });

  test('mismatches count as failed dials: the waits between them grow', async () => {
    await using set = await setup({ baseIntervalMs: 100, maxJitterMs: 0, maxBackoffMs: 1_000 });
    set.client.connect('SERVER');
    const at: number[] = [];
    for (let n = 0; n < 6; n++) {
      const before = set.harness.clock.now();
      if (n > 0) await set.harness.advance([100, 200, 400, 800, 1_000][n - 1] ?? 0);
      const peer = await set.server.accepted();
      at.push(set.harness.clock.now() - before);
      expect(set.server.peers).toHaveLength(n + 1);
      peer.answer(await peer.next(), { ok: false, code: 'SESSION_STATE_MISMATCH', reason: '' });
      await set.harness.settled();
      await set.harness.advance(0);
    }
    expect(at).toEqual([0, 100, 200, 400, 800, 1_000]);
  });

  test('mismatches use up the attempt budget', async () => {
    await using set = await setup({ attemptBudgetCapacity: 2, maxJitterMs: 0 });
    set.client.connect('SERVER');
    for (let n = 0; n < 2; n++) {
      const peer = await set.server.accepted();
      peer.answer(await peer.next(), { ok: false, code: 'SESSION_STATE_MISMATCH', reason: '' });
      await set.harness.advance(1_000);
    }
    await set.harness.advance(HOUR_MS);
    expect(set.server.peers).toHaveLength(2);
    expect(set.events.errors.map(({ type }) => type)).toContain('conn_retry_exceeded');
    set.client.connect('SERVER');
    await set.harness.advance(1_000);
    expect(set.server.peers).toHaveLength(3);
  });

  const fatalAnswers: { what: string; answer: (peer: BarePeer, id: string) => void; code: string }[] = [
    ...[
      'MALFORMED_HANDSHAKE',
      'MALFORMED_HANDSHAKE_META',
      'PROTOCOL_VERSION_MISMATCH',
      'REJECTED_BY_CUSTOM_HANDLER',
      'REJECTED_UNSUPPORTED_CLIENT',
      'SESSION_REPLACED',
      'A_CODE_OF_THE_FUTURE',
    ].map((code) => ({
      what: code,
      code,
      answer: (peer: BarePeer) => peer.send(refusal({ ok: false, code, reason: 'because' })),
    })),
    {
      what: 'another session id',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer) => peer.send(refusal({ ok: true, sessionId: 'somebody-else' })),
    },
    {
      what: 'another sender',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) => peer.send({ ...refusal({ ok: true, sessionId: id }), from: 'OTHER' }),
    },
    {
      what: 'another receiver',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) => peer.send({ ...refusal({ ok: true, sessionId: id }), to: 'client-2' }),
    },
    {
      what: 'a seq',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) => peer.send({ ...refusal({ ok: true, sessionId: id }), seq: 1 }),
    },
    { what: 'a status without ok', code: 'MALFORMED_HANDSHAKE', answer: (peer) => peer.send(refusal({})) },
    { what: 'a status that is text', code: 'MALFORMED_HANDSHAKE', answer: (peer) => peer.send(refusal('fine')) },
    {
      what: 'a refusal without a code',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer) => peer.send(refusal({ ok: false })),
    },
    {
      what: 'a heartbeat of nothing',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) =>
        peer.send(refusal({ ok: true, sessionId: id, extensions: { heartbeat: { intervalMs: 0, misses: 2 } } })),
    },
    {
      what: 'a heartbeat that is no number',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) =>
        peer.send(refusal({ ok: true, sessionId: id, extensions: { heartbeat: { intervalMs: '1', misses: 2 } } })),
    },
    ...['compact', 'deadline', 'heartbeat', 'credit', 'idempotency', 'resume'].map((name) => ({
      what: `a ${name} that is no object`,
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer: BarePeer, id: string) =>
        peer.send(refusal({ ok: true, sessionId: id, extensions: { [name]: false } })),
    })),
    {
      what: 'extensions that are no object',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer, id) => peer.send(refusal({ ok: true, sessionId: id, extensions: 1 })),
    },
    {
      what: 'an ordinary message',
      code: 'MALFORMED_HANDSHAKE',
      answer: (peer) => peer.send(messageOf({ from: 'SERVER', to: 'client-1' })),
    },
    { what: 'garbage', code: 'MALFORMED_HANDSHAKE', answer: (peer) => peer.sendBytes(new Uint8Array([0xc1, 0, 0])) },
  ];

  function refusal(status: unknown): Record<string, unknown> {
    const payload = { type: 'HANDSHAKE_RESP', status };
    return { id: 'bare', from: 'SERVER', to: 'client-1', seq: 0, ack: 0, streamId: 'h', controlFlags: 0, payload };
  }

  test.each(fatalAnswers)(
    'answered with $what ends the session and its calls, and dials nothing again by itself',
    async ({ answer, code }) => {
      await using set = await setup();
      const call = new Recorder(set.client.openSession('SERVER'), 's1');
      call.open({});
      const peer = await set.server.accepted();
      answer(peer, sessionIdOf(await peer.next()));
      await peer.closed();
      await set.harness.settled();
      expect(call.ends).toEqual(['handshake_rejected']);
      expect(set.events.codes).toEqual([code]);
      expect(set.client.sessions.size).toBe(0);
      await set.harness.advance(HOUR_MS);
      expect(set.server.peers).toHaveLength(1);
      set.client.connect('SERVER');
      const next = await set.server.accepted();
      await next.acceptHandshake();
      await set.harness.settled();
      expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
      expect(call.ends).toHaveLength(1);
    },
  );

  test.each(['protocolError', 'sessionStatus'] as const)(
    'refused is begun anew by whoever connects when they hear of it (%s), after waits that grow',
    async (event) => {
      await using set = await setup({ baseIntervalMs: 1_000 });
      const again = () => set.client.connect('SERVER');
      if (event === 'protocolError') set.client.addEventListener(event, again);
      else set.client.addEventListener(event, ({ status }) => (status === 'closed' ? again() : undefined));
      set.client.connect('SERVER');
      for (const waitMs of [1_000, 2_000, 4_000]) {
        const { length } = set.server.peers;
        const peer = await set.server.accepted();
        await peer.next();
        peer.send(refusal({ ok: false, code: 'REJECTED_BY_CUSTOM_HANDLER', reason: 'because' }));
        await peer.closed();
        await set.harness.advance(waitMs - 1);
        expect(set.server.peers).toHaveLength(Math.max(1, length));
        await set.harness.advance(1);
        expect(set.server.peers).toHaveLength(Math.max(1, length) + 1);
      }
    },
  );

  test('that the server closes without a word is tried again with the same session', async () => {
    await using set = await setup();
    set.client.connect('SERVER');
    const first = await set.server.accepted();
    const request = await first.next();
    first.close();
    await set.harness.advance(200);
    const second = await set.server.accepted();
    expect(sessionIdOf(await second.next())).toBe(sessionIdOf(request));
    expect(set.events.errors).toEqual([]);
    expect(set.events.ends).toEqual([]);
  });

  test('that is not answered in time is given up: its connection is closed and another dial asks again', async () => {
    await using set = await setup({ handshakeTimeoutMs: 2_000 });
    set.client.connect('SERVER');
    const first = await set.server.accepted();
    const request = await first.next();
    await set.harness.advance(1_999);
    expect(first.isClosed).toBe(false);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Handshaking');
    await set.harness.advance(1);
    await first.closed();
    await set.harness.advance(200);
    const second = await set.server.accepted();
    expect(sessionIdOf(await second.next())).toBe(sessionIdOf(request));
    // Too late: it concerns nobody.
    first.answer(request, { ok: true, sessionId: sessionIdOf(request) });
    await set.harness.settled();
    expect(set.client.sessions.get('SERVER')?.state).toBe('Handshaking');
  });

  test('over a resume that comes out with other extensions ends the session as a mismatch', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    const first = await set.server.accepted();
    await first.acceptHandshake({ heartbeat: { intervalMs: 1_000, misses: 2 }, deadline: {} });
    await set.harness.settled();
    first.close();
    await set.harness.advance(200);
    const second = await set.server.accepted();
    await second.acceptHandshake({ heartbeat: { intervalMs: 2_000, misses: 2 }, deadline: {} });
    await set.harness.settled();
    expect(call.ends).toEqual(['state_mismatch']);
    expect(set.events.codes).toEqual(['SESSION_STATE_MISMATCH']);
  });

  describe('its metadata', () => {
    test.each([
      { how: 'at once', construct: () => ({ token: 'a' }), metadata: { token: 'a' } },
      { how: 'later', construct: () => Promise.resolve({ token: 'a' }), metadata: { token: 'a' } },
      { how: 'as text', construct: () => 'token', metadata: 'token' },
      { how: 'as nothing', construct: () => undefined, metadata: undefined },
    ])('made $how goes along', async ({ construct, metadata }) => {
      await using set = await setup();
      set.client.setHandshake({ construct });
      set.client.connect('SERVER');
      const { payload } = await (await set.server.accepted()).next();
      if (metadata === undefined) expect(payload).not.toHaveProperty('metadata');
      else expect(payload).toMatchObject({ metadata });
    });

    test('is made anew for every handshake', async () => {
      await using set = await setup();
      let made = 0;
      set.client.setHandshake({ construct: () => ({ made: ++made }) });
      set.client.connect('SERVER');
      for (const expected of [1, 2]) {
        const peer = await set.server.accepted();
        expect((await peer.acceptHandshake()).payload).toMatchObject({ metadata: { made: expected } });
        await set.harness.settled();
        peer.close();
        await set.harness.advance(200);
      }
    });

    const failing = {
      throws: () => {
        throw new Error('no token');
      },
      rejects: () => Promise.reject(new Error('no token')),
      'cannot be encoded': () => ({ token: Symbol('secret') }),
      'is too large': () => ({ token: 'x'.repeat(2 * 1024 * 1024) }),
    };

    test.each(Object.entries(failing))(
      'that %s is a failed dial: the session stays, another dial asks again',
      async (_name, construct) => {
        await using set = await setup({ maxJitterMs: 0 });
        const constructs: (() => unknown)[] = [construct, construct, () => ({ token: 'at last' })];
        set.client.setHandshake({ construct: () => constructs.shift()?.() });
        const { id } = set.client.openSession('SERVER');
        await (await set.server.accepted()).closed();
        await set.harness.advance(150);
        await (await set.server.accepted()).closed();
        await set.harness.advance(300);
        const peer = await set.server.accepted();
        const request = await peer.acceptHandshake();
        expect(request.payload).toMatchObject({ metadata: { token: 'at last' }, sessionId: id });
        await set.harness.settled();
        expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
        expect(set.events.ends).toEqual([]);
      },
    );

    test('that never comes is bounded by the handshake timeout', async () => {
      await using set = await setup();
      let asked = 0;
      set.client.setHandshake({
        construct: () => {
          asked += 1;
          return new Promise(() => undefined);
        },
      });
      set.client.connect('SERVER');
      const peer = await set.server.accepted();
      await set.harness.advance(5_000);
      await peer.closed();
      await set.harness.advance(200);
      expect(asked).toBe(2);
      expect(peer.messages).toEqual([]);
    });

    test('that comes after the handshake was given up is not sent on the next connection', async () => {
      await using set = await setup();
      const made: ((metadata: object) => void)[] = [];
      set.client.setHandshake({ construct: () => new Promise((resolve) => made.push(resolve)) });
      set.client.connect('SERVER');
      const first = await set.server.accepted();
      await set.harness.advance(5_200);
      const second = await set.server.accepted();
      made[0]?.({ token: 'stale' });
      await set.harness.settled();
      expect([...first.messages, ...second.messages]).toEqual([]);
      made[1]?.({ token: 'fresh' });
      expect((await second.next()).payload).toMatchObject({ metadata: { token: 'fresh' } });
    });

    test('may come as any thenable', async () => {
      await using set = await setup();
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
      const thenable = { then: (done: (value: unknown) => void) => done({ token: 'from a thenable' }) };
      set.client.setHandshake({ construct: () => thenable });
      set.client.connect('SERVER');
      const peer = await set.server.accepted();
      expect((await peer.next()).payload).toMatchObject({ metadata: { token: 'from a thenable' } });
    });
  });
});
