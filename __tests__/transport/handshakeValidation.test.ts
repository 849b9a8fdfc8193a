import { connect as connectTcp, createConnection, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { HandshakePeer, ServerHandshake } from '../../transport/handshake.ts';
import type { LogFields } from '../../transport/log.ts';
import type { ServerTransportOptions } from '../../transport/options.ts';
import { BarePeer, requestOf, statusOf } from '../support/barePeer.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const HANDSHAKE_MS = 5_000;

/** A promise that a test settles. */
function gate<T>() {
  let open: (value: T) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

// biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
const refusingThenable = { then: (done: (code: string) => void) => done('REJECTED_BY_CUSTOM_HANDLER') };

describe.each(matrix)('a handshake validator over $name', ({ transport, codec }) => {
  async function setup(validate: ServerHandshake['validate'], options: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server(options);
    const events = new TransportEventLog(server);
    const logged: { message: string; fields: LogFields }[] = [];
    server.bindLogger((message, fields) => logged.push({ message, fields }), 'error');
    server.setHandshake({ checkMetadata: () => undefined, validate });
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    return { harness, server, events, logged, dial, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
  }

  test('hears what the client says, who it is, and how it came', async () => {
    const calls: [unknown, object | undefined, string, HandshakePeer][] = [];
    await using set = await setup((...args) => {
      calls.push(args);
      return { user: calls.length };
    });
    using first = await set.dial();
    await first.handshake({ metadata: { token: 'a' } });
    using second = await set.dial();
    await second.handshake({ metadata: { token: 'b' } });
    using third = await set.dial();
    await third.handshake({ metadata: { token: 'c' }, sessionId: 'session-2' });
    expect(
      calls.map(([metadata, previous, from, peer]) => [metadata, previous, from, peer.reason, peer.transport]),
    ).toEqual([
      [{ token: 'a' }, undefined, 'client-1', 'connect', transport],
      [{ token: 'b' }, { user: 1 }, 'client-1', 'reconnect', transport],
      [{ token: 'c' }, undefined, 'client-1', 'connect', transport],
    ]);
    if (transport === 'ws') {
      expect(calls[0]?.[3].headers).toMatchObject({ upgrade: 'websocket' });
      expect(calls[0]?.[3].url).toBe('/');
      expect(calls[0]?.[3].remoteAddress).toContain('127.0.0.1');
    }
    expect(set.server.sessions.get('client-1')?.core.metadata).toEqual({ user: 3 });
  });

  test('is not asked about a request whose shape is wrong', async () => {
    let asked = 0;
    await using set = await setup(() => {
      asked += 1;
      return {};
    });
    set.server.setHandshake({
      checkMetadata: (metadata) => (metadata === 'good' ? undefined : '/token: expected a string'),
      validate: () => {
        asked += 1;
        return {};
      },
    });
    using malformed = await set.dial();
    expect(await malformed.handshake({ metadata: 'bad' })).toMatchObject({
      ok: false,
      code: 'MALFORMED_HANDSHAKE_META',
      reason: expect.stringContaining('/token: expected a string'),
    });
    using version = await set.dial();
    await version.handshake({ metadata: 'good', protocolVersion: 'v1' });
    expect(asked).toBe(0);
    using good = await set.dial();
    expect(await good.handshake({ metadata: 'good' })).toMatchObject({ ok: true });
    expect(asked).toBe(1);
  });

  test.each([
    { how: 'a code', verdict: () => 'REJECTED_BY_CUSTOM_HANDLER', code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'another code', verdict: () => 'REJECTED_UNSUPPORTED_CLIENT', code: 'REJECTED_UNSUPPORTED_CLIENT' },
    { how: 'a code, later', verdict: async () => 'REJECTED_UNSUPPORTED_CLIENT', code: 'REJECTED_UNSUPPORTED_CLIENT' },
    { how: 'nothing', verdict: () => undefined, code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'null', verdict: () => null, code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'false', verdict: () => false, code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'true', verdict: () => true, code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'some text', verdict: () => 'fine', code: 'REJECTED_BY_CUSTOM_HANDLER' },
    { how: 'a refusing thenable', verdict: () => refusingThenable, code: 'REJECTED_BY_CUSTOM_HANDLER' },
  ])('that answers with $how refuses, and tells the peer no more than $code', async ({ verdict, code }) => {
    await using set = await setup(verdict);
    using peer = await set.dial();
    const status = await peer.handshake();
    expect(status).toMatchObject({ ok: false, code });
    expect(JSON.stringify(status)).not.toContain('42');
    await peer.closed();
    expect(set.events.codes).toEqual([code]);
    expect(set.server.sessions.size).toBe(0);
    expect(set.server.pendingHandshakes).toBe(0);
  });

  test.each([
    {
      how: 'throws',
      validate: () => {
        throw new Error('down');
      },
    },
    { how: 'rejects', validate: () => Promise.reject(new Error('down')) },
  ])(
    'that $how lets nobody in and refuses nobody: nothing is answered, and a client tries again',
    async ({ validate }) => {
      await using set = await setup(validate);
      using peer = await set.dial();
      peer.send(requestOf());
      await peer.closed();
      expect(peer.messages).toEqual([]);
      expect(set.events.codes).toEqual([]);
      expect([set.server.sessions.size, set.server.pendingHandshakes]).toEqual([0, 0]);
    },
  );

  test('that fails is reported to the log with its error', async () => {
    const error = new Error('the database is down');
    await using set = await setup(() => Promise.reject(error));
    using peer = await set.dial();
    peer.send(requestOf());
    await peer.closed();
    expect(set.logged).toEqual([{ message: expect.any(String), fields: expect.objectContaining({ error }) }]);
  });

  test('that takes its time keeps the peer waiting, and nothing is lost', async () => {
    const verdict = gate<object>();
    await using set = await setup(() => verdict.promise);
    using peer = await set.dial();
    peer.send(requestOf());
    await set.harness.advance(HANDSHAKE_MS - 1_000);
    expect(peer.messages).toEqual([]);
    expect(set.server.pendingHandshakes).toBe(1);
    verdict.open({ user: 1 });
    expect(statusOf(await peer.next())).toMatchObject({ ok: true });
    expect(set.server.pendingHandshakes).toBe(0);
  });

  test('that never settles loses its slot at the handshake timeout, and its late verdict concerns nobody', async () => {
    const verdict = gate<object>();
    await using set = await setup(() => verdict.promise, { maxPendingHandshakes: 1 });
    using peer = await set.dial();
    peer.send(requestOf());
    await set.harness.settled();
    expect(set.server.pendingHandshakes).toBe(1);
    await set.harness.advance(HANDSHAKE_MS + 20);
    await peer.closed();
    expect(peer.messages).toEqual([]);
    expect(set.server.pendingHandshakes).toBe(0);
    verdict.open({});
    await set.harness.settled();
    expect(set.server.sessions.size).toBe(0);
    expect(set.events.lines).toEqual([]);
    set.server.setHandshake({ checkMetadata: () => undefined, validate: () => ({}) });
    using next = await set.dial();
    expect(await next.handshake()).toMatchObject({ ok: true });
  });

  test.each(['accepts', 'refuses', 'throws'] as const)(
    'that %s after its peer has gone changes nothing',
    async (how) => {
      const verdict = gate<unknown>();
      await using set = await setup(() => verdict.promise, { maxPendingHandshakes: 1 });
      using peer = await set.dial();
      peer.send(requestOf());
      await set.harness.settled();
      peer.close();
      await set.harness.settled();
      // Its place is taken until it is judged.
      expect(set.server.pendingHandshakes).toBe(1);
      using other = await set.dial();
      await other.closed();
      if (how === 'throws') verdict.fail(new Error('too late'));
      else verdict.open(how === 'accepts' ? {} : 'REJECTED_BY_CUSTOM_HANDLER');
      await set.harness.settled();
      expect(set.server.pendingHandshakes).toBe(0);
      expect(set.server.sessions.size).toBe(0);
      expect(set.events.lines).toEqual([]);
    },
  );

  test('whose peer has gone loses its slot at the handshake timeout', async () => {
    await using set = await setup(() => new Promise(() => undefined));
    using peer = await set.dial();
    peer.send(requestOf());
    await set.harness.settled();
    peer.close();
    await set.harness.advance(HANDSHAKE_MS - 1_000);
    expect(set.server.pendingHandshakes).toBe(1);
    await set.harness.advance(1_020);
    expect(set.server.pendingHandshakes).toBe(0);
  });

  test('is not asked about a request that is too long to be read', async () => {
    let asked = 0;
    const validate = () => {
      asked += 1;
      return {};
    };
    await using set = await setup(validate, { maxHandshakeBytes: 1_000 });
    using peer = await set.dial();
    peer.send(requestOf({ metadata: { token: 'x'.repeat(1_000) } }));
    await peer.closed();
    expect([asked, peer.messages]).toEqual([0, []]);
    expect(set.events.lines[0]).toBe('error handshake_failed MALFORMED_HANDSHAKE');
    using next = await set.dial();
    expect(await next.handshake({ metadata: { token: 'x'.repeat(100) } })).toMatchObject({ ok: true });
  });

  test('is still thinking when a second frame comes: the connection is closed without an answer', async () => {
    const verdict = gate<object>();
    await using set = await setup(() => verdict.promise);
    using peer = await set.dial();
    peer.send(requestOf());
    await set.harness.settled();
    peer.send(requestOf());
    await peer.closed();
    expect(peer.messages).toEqual([]);
    verdict.open({});
    await set.harness.settled();
    expect(set.server.sessions.size).toBe(0);
    expect(set.server.pendingHandshakes).toBe(0);
    expect(set.events.codes).toEqual(['MALFORMED_HANDSHAKE']);
  });

  test('that refuses a resume leaves the session with its first connection', async () => {
    let asked = 0;
    await using set = await setup(() => (++asked === 1 ? { user: 1 } : 'REJECTED_BY_CUSTOM_HANDLER'));
    using first = await set.dial();
    await first.handshake();
    using second = await set.dial();
    expect(await second.handshake()).toMatchObject({ ok: false });
    await second.closed();
    using third = await set.dial();
    expect(await third.handshake({ sessionId: 'session-2' })).toMatchObject({ ok: false });
    await third.closed();
    expect(first.isClosed).toBe(false);
    const session = set.server.sessions.get('client-1');
    expect(session?.state).toBe('Connected');
    expect(session?.core.metadata).toEqual({ user: 1 });
    expect(set.events.ends).toEqual([]);
  });

  test('that closes or disconnects its transport re-entrantly ends what there is, in order', async () => {
    const act: (() => void)[] = [];
    await using set = await setup(() => {
      for (const fn of act) fn();
      return {};
    });
    using first = await set.dial();
    await first.handshake();
    act.push(() => set.server.hardDisconnect());
    using second = await set.dial();
    second.send(requestOf({ from: 'client-2', sessionId: 'session-2' }));
    expect(statusOf(await second.next())).toMatchObject({ ok: true });
    expect([...set.server.sessions.keys()]).toEqual(['client-2']);
    act.push(() => set.server.close());
    using third = await set.dial();
    third.send(requestOf({ from: 'client-3', sessionId: 'session-3' }));
    await third.closed();
    expect(set.server.sessions.size).toBe(0);
    expect(set.events.ends).toEqual(['closed_locally', 'closed_locally']);
  });
});

describe.each(matrix)('pending handshakes over $name', ({ transport, codec }) => {
  async function setup(options: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server(options);
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    return { harness, server, dial, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
  }

  test('of silent connections are closed at the handshake timeout, not before', async () => {
    await using set = await setup({ handshakeTimeoutMs: 2_000 });
    const peers = await Promise.all([set.dial(), set.dial(), set.dial()]);
    await set.harness.settled();
    expect(set.server.pendingHandshakes).toBe(3);
    await set.harness.advance(1_999);
    expect(set.server.pendingHandshakes).toBe(3);
    await set.harness.advance(21);
    expect(set.server.pendingHandshakes).toBe(0);
    for (const peer of peers) await peer.closed();
  });

  test('that wait unread while the server stalls are answered: their time does not run meanwhile', async () => {
    await using set = await setup();
    for (const stallMs of [HANDSHAKE_MS - 100, HANDSHAKE_MS + 100, 60 * HANDSHAKE_MS]) {
      using peer = await set.dial();
      await set.harness.settled();
      peer.send(requestOf());
      await set.harness.clock.stallAtOnce(stallMs);
      expect(statusOf(await peer.next())).toMatchObject({ ok: true });
    }
  });

  test('are capped: one too many is closed at once, and the others are served', async () => {
    await using set = await setup({ maxPendingHandshakes: 2 });
    using first = await set.dial();
    using second = await set.dial();
    await set.harness.settled();
    expect(set.server.pendingHandshakes).toBe(2);
    using third = await set.dial();
    await third.closed();
    expect(set.server.pendingHandshakes).toBe(2);
    expect(await first.handshake()).toMatchObject({ ok: true });
    using fourth = await set.dial();
    expect(await fourth.handshake({ from: 'client-4', sessionId: 'session-4' })).toMatchObject({ ok: true });
    expect(await second.handshake({ from: 'client-2', sessionId: 'session-2' })).toMatchObject({ ok: true });
  });

  test('of peers that leave free their slots', async () => {
    await using set = await setup({ maxPendingHandshakes: 1 });
    for (let n = 0; n < 3; n++) {
      using peer = await set.dial();
      await set.harness.settled();
      expect(set.server.pendingHandshakes).toBe(1);
      peer.close();
      await set.harness.settled();
      expect(set.server.pendingHandshakes).toBe(0);
    }
  });

  test('that would add a session beyond maxSessions are refused for now: the client may try again', async () => {
    await using set = await setup({ maxSessions: 2 });
    const peers: BarePeer[] = [];
    for (const n of [1, 2, 3]) {
      const peer = await set.dial();
      peers.push(peer);
      const status = await peer.handshake({ from: `client-${n}`, sessionId: `session-${n}` });
      expect(status).toMatchObject(n < 3 ? { ok: true } : { ok: false, code: 'SESSION_STATE_MISMATCH' });
    }
    // Resuming and replacing add none.
    using resuming = await set.dial();
    expect(await resuming.handshake({ from: 'client-1', sessionId: 'session-1' })).toMatchObject({ ok: true });
    using replacing = await set.dial();
    expect(await replacing.handshake({ from: 'client-2', sessionId: 'session-9' })).toMatchObject({ ok: true });
    expect(set.server.sessions.size).toBe(2);
    set.server.hardDisconnect();
    using next = await set.dial();
    expect(await next.handshake({ from: 'client-3', sessionId: 'session-3' })).toMatchObject({ ok: true });
    for (const peer of peers) peer.close();
  });
});

describe.each(matrix.filter(({ transport }) => transport !== 'memory'))(
  'a byte a second over $name',
  ({ transport, codec }) => {
    test('does not outlast the handshake timeout', async () => {
      await using harness = await createHarness({ transport, codec });
      harness.holdsHandshakes = true;
      const server = harness.server({ handshakeTimeoutMs: 3_000 });
      const { socket, frameOf } = await slowSocket(transport, harness.link.address);
      const frame = frameOf(codec.toBuffer(requestOf()));
      expect(frame.length).toBeGreaterThan(10);
      await harness.settled();
      let isClosed = false;
      socket.on('close', () => {
        isClosed = true;
      });
      socket.on('error', () => undefined);
      for (const byte of frame.subarray(0, 3)) {
        socket.write(new Uint8Array([byte]));
        expect(isClosed).toBe(false);
        await harness.advance(1_000);
      }
      await harness.advance(20);
      expect(server.pendingHandshakes).toBe(0);
      // The socket itself gets the time of one goodbye.
      await harness.advance(1_000);
      expect(harness.link.openSockets()).toBe(0);
      socket.destroy();
    });
  },
);

/** A socket on which a test writes bytes as it likes, and how a frame looks there. */
async function slowSocket(transport: string, address: string) {
  if (transport === 'unix') {
    const socket = createConnection(address);
    await opened(socket, 'connect');
    socket.resume();
    return {
      socket,
      frameOf(bytes: Uint8Array) {
        const frame = Buffer.alloc(4 + bytes.length);
        frame.writeUInt32BE(bytes.length);
        frame.set(bytes, 4);
        return frame;
      },
    };
  }
  const { hostname, port } = new URL(address);
  const socket = connectTcp(Number(port), hostname);
  await opened(socket, 'connect');
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  await opened(socket, 'data');
  socket.resume();
  return {
    socket,
    frameOf(bytes: Uint8Array) {
      // A masked binary message of 64 KiB at most; the mask is zero.
      const frame = Buffer.alloc(8 + bytes.length);
      frame.set([0x82, 0x80 | 126], 0);
      frame.writeUInt16BE(bytes.length, 2);
      frame.set(bytes, 8);
      return frame;
    },
  };
}

function opened(socket: Socket, event: string): Promise<unknown> {
  return new Promise((resolve) => socket.once(event, resolve));
}
