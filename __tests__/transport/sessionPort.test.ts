import { describe, expect, test } from 'vitest';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import {
  IdempotencyUnsupportedError,
  SessionBufferFullError,
  SessionClosedError,
  TooManyStreamsError,
} from '../../transport/errors.ts';
import type { CallKey, IncomingMessage, OutgoingMessage } from '../../transport/message.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../transport/options.ts';
import type { SessionPort } from '../../transport/stream.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import { Echo, Recorder } from '../support/ports.ts';

const NO_TRACE = { traceparent: '', tracestate: '' };

function dataMessage(streamId: string, payload: unknown): OutgoingMessage {
  return { streamId, controlFlags: 0, payload };
}

/** Control messages, which have room of their own. */
const control: Record<string, (streamId: string) => OutgoingMessage> = {
  close: (streamId) => ({ streamId, controlFlags: 8, payload: { type: 'CLOSE' } }),
  cancel: (streamId) => ({
    streamId,
    controlFlags: 4,
    payload: { ok: false, payload: { code: 'CANCEL', message: '' } },
  }),
  ack: () => ({ streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } }),
};

describe.each(matrix)('a session over $name', ({ transport, codec }) => {
  /** A client, and a server that notes what it receives. */
  async function setup(clientOptions: ClientTransportOptions = {}, serverOptions: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    const server = harness.server(serverOptions);
    const received: IncomingMessage[] = [];
    server.bindOpener({
      onUnclaimedMessage: (_port, message) => received.push(message),
      onSessionEnded: () => undefined,
    });
    const client = harness.client(clientOptions, 'client-1');
    return {
      harness,
      server,
      client,
      received,
      port: client.openSession('SERVER'),
      get payloads() {
        return received.map(({ payload }) => payload);
      },
      /** Whether the session can send or must keep. */
      async away() {
        harness.link.setReachable(false);
        closeAllConnections(client);
        await harness.settled();
      },
      async back() {
        harness.link.setReachable(true);
        client.endBackoff();
        await harness.advance(6_000);
      },
      [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
    };
  }

  describe('its buffer', () => {
    const limits = { maxSessionBufferBytes: 50_000, sessionHighWaterBytes: 10_000, maxMessageBytes: 20_000 };
    const payload = (n: number) => `${n} ${'x'.repeat(4_000)}`;

    function fill(port: SessionPort): number {
      let sent = 0;
      for (; sent < 100; sent++) {
        try {
          port.send(dataMessage('s1', payload(sent)));
        } catch (error) {
          expect(error).toBeInstanceOf(SessionBufferFullError);
          expect(error).toMatchObject({ code: 'SESSION_BUFFER_FULL', message: expect.stringContaining('50000') });
          break;
        }
      }
      expect(sent).toBeGreaterThan(8);
      expect(sent).toBeLessThan(13);
      return sent;
    }

    test.each(['before its first connection', 'while its connection is lost'])(
      'is bounded %s, and whatever it took arrives',
      async (when) => {
        await using set = await setup(limits);
        if (when.startsWith('while')) await set.harness.settled();
        else set.harness.link.setReachable(false);
        await set.away();
        const sent = fill(set.port);
        // A smaller message may still fit; one as large does not.
        expect(() => set.port.send(dataMessage('s1', payload(99)))).toThrow(SessionBufferFullError);
        await set.back();
        expect(set.payloads).toEqual(Array.from({ length: sent }, (_, n) => payload(n)));
        set.port.send(dataMessage('s1', 'again'));
        await set.harness.settled();
        expect(set.payloads.at(-1)).toBe('again');
      },
    );

    test.each(Object.entries(control))(
      'has room for %s where it is full, and that room is bounded, too',
      async (what, message) => {
        // Only River has messages that do nothing but acknowledge.
        await using set = await setup({ ...limits, extensions: { compact: what !== 'ack' } });
        await set.harness.settled();
        await set.away();
        fill(set.port);
        let sent = 0;
        let error: unknown;
        try {
          for (; sent < 100_000; sent++) set.port.send(message(`s${sent}`));
        } catch (thrown) {
          error = thrown;
        }
        expect(sent).toBeGreaterThan(500);
        expect(error).toBeInstanceOf(SessionBufferFullError);
        await set.back();
        expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
      },
    );

    test('does not take a closing message with data in it for control', async () => {
      await using set = await setup(limits);
      await set.harness.settled();
      await set.away();
      fill(set.port);
      expect(() => set.port.send({ streamId: 's1', controlFlags: 8, payload: payload(1) })).toThrow(
        SessionBufferFullError,
      );
    });

    test('has room for a re-handshake where it is full, on either side', async () => {
      await using set = await setup(limits, limits);
      let made = 0;
      set.server.setHandshake({ checkMetadata: () => undefined, validate: (metadata) => metadata });
      set.client.setHandshake({ construct: () => ({ made: ++made }) });
      await set.harness.settled();
      const far = set.server.sessions.get('client-1')?.core;
      if (far === undefined) throw new Error('expected a session');
      // Filled within one turn: nothing is confirmed meanwhile.
      for (const port of [set.port, far]) {
        fill(port);
        expect(() => {
          for (let n = 0; n < 1_000; n++) port.send(dataMessage('s1', ''));
        }).toThrow(SessionBufferFullError);
      }
      set.server.requestRehandshake('client-1');
      await set.harness.advance(10_000);
      expect(far.isOpen).toBe(true);
      expect(far.metadata).toEqual({ made: 2 });
    });

    test('is full for one session only', async () => {
      await using set = await setup(limits);
      await set.harness.settled();
      const other = set.harness.client({}, 'client-2');
      const call = other.openSession('SERVER');
      await set.harness.settled();
      await set.away();
      fill(set.port);
      set.harness.link.setReachable(true);
      call.send(dataMessage('s2', 'from another'));
      await set.harness.settled();
      expect(set.payloads).toContain('from another');
    });

    test('asks writers to wait above its high-water mark, and wakes each of them once when there is room', async () => {
      await using set = await setup(limits);
      await set.harness.settled();
      expect(set.port.isWriteReady('s1')).toBe(true);
      await set.away();
      const woken: string[] = [];
      for (let n = 0; n < 4; n++) set.port.send(dataMessage('s1', payload(n)));
      expect(set.port.isWriteReady('s1')).toBe(false);
      set.port.onceWriteReady('s1', () => woken.push('a'));
      set.port.onceWriteReady('s1', () => woken.push('withdrawn'))();
      set.port.onceWriteReady('s1', () => {
        expect(set.port.isWriteReady('s1')).toBe(true);
        woken.push('b');
      });
      expect(woken).toEqual([]);
      await set.back();
      expect(set.port.isWriteReady('s1')).toBe(true);
      expect(woken).toEqual(['a', 'b']);
      set.port.send(dataMessage('s1', 'more'));
      await set.harness.advance(10_000);
      expect(woken).toEqual(['a', 'b']);
    });

    test('does not wake whom another one that it woke has withdrawn', async () => {
      await using set = await setup(limits);
      await set.harness.settled();
      await set.away();
      const woken: string[] = [];
      for (let n = 0; n < 4; n++) set.port.send(dataMessage('s1', payload(n)));
      set.port.onceWriteReady('s1', () => {
        woken.push('first');
        withdraw();
      });
      const withdraw = set.port.onceWriteReady('s1', () => woken.push('withdrawn'));
      set.port.onceWriteReady('s1', () => woken.push('last'));
      await set.back();
      expect(woken).toEqual(['first', 'last']);
    });

    test('wakes nobody when the session ends', async () => {
      await using set = await setup(limits);
      await set.harness.settled();
      await set.away();
      const woken: string[] = [];
      for (let n = 0; n < 4; n++) set.port.send(dataMessage('s1', payload(n)));
      set.port.onceWriteReady('s1', () => woken.push('ready'));
      set.port.onceConfirmed('s1', () => woken.push('confirmed'));
      set.client.hardDisconnect();
      await set.back();
      expect(woken).toEqual([]);
    });
  });

  describe('a confirmation', () => {
    test('comes once, when everything sent so far has arrived and not before', async () => {
      await using set = await setup();
      const confirmed: string[] = [];
      set.port.send(dataMessage('s1', 'waiting'));
      set.port.onceConfirmed('s1', () => confirmed.push('first'));
      await set.harness.settled();
      expect(set.payloads).toEqual(['waiting']);
      // It has arrived; that it has is told by the next beat at the latest.
      await set.harness.advance(6_000);
      expect(confirmed).toEqual(['first']);
      await set.away();
      set.port.send(dataMessage('s1', 'kept'));
      set.port.onceConfirmed('s1', () => confirmed.push('second'));
      set.port.onceConfirmed('s1', () => confirmed.push('withdrawn'))();
      set.port.send(dataMessage('s1', 'kept, too'));
      set.port.onceConfirmed('s1', () => confirmed.push('third'));
      await set.harness.advance(2_000);
      expect(confirmed).toEqual(['first']);
      await set.back();
      await set.harness.advance(6_000);
      expect(confirmed).toEqual(['first', 'second', 'third']);
    });

    test('of nothing comes at once', async () => {
      await using set = await setup();
      let calls = 0;
      set.port.onceConfirmed('s1', () => {
        calls += 1;
      });
      expect(calls).toBe(1);
    });
  });

  describe('its streams', () => {
    test('are bounded: one too many is refused by name, and a closed one makes room', async () => {
      await using set = await setup({ maxStreamsPerSession: 3 });
      const calls = [1, 2, 3].map((n) => new Recorder(set.port, `s${n}`));
      for (const call of calls) call.open({});
      const fourth = new Recorder(set.port, 's4');
      expect(() => fourth.open({})).toThrow(TooManyStreamsError);
      expect(() => fourth.open({})).toThrow(/3 open calls \(maxStreamsPerSession\)/);
      expect(set.port.streamCount).toBe(3);
      expect(set.port.hasStream('s4')).toBe(false);
      calls[0]?.end();
      fourth.open({});
      await set.harness.settled();
      expect(set.received.map(({ streamId }) => streamId)).toEqual(['s1', 's2', 's3', 's4']);
      for (const call of [...calls, fourth]) call.end();
      expect(set.port.streamCount).toBe(0);
    });

    test('of a server are bounded by the server', async () => {
      await using harness = await createHarness({ transport, codec });
      const server = harness.server({ maxStreamsPerSession: 2 });
      const refused: string[] = [];
      const opened: { port: SessionPort; streamId: string }[] = [];
      server.bindOpener({
        onSessionEnded: () => undefined,
        onUnclaimedMessage: (port, { streamId }) => {
          try {
            port.openStream(streamId, { onMessage: () => undefined, onSessionEnd: () => undefined });
            opened.push({ port, streamId });
          } catch (error) {
            if (error instanceof TooManyStreamsError) refused.push(streamId);
          }
        },
      });
      const client = harness.client({}, 'client-1');
      const port = client.openSession('SERVER');
      for (const streamId of ['a', 'b', 'c', 'd']) port.send({ streamId, controlFlags: 2, payload: 0 });
      await harness.settled();
      expect(refused).toEqual(['c', 'd']);
      expect(port.isConnected).toBe(true);
      for (const stream of opened) stream.port.closeStream(stream.streamId);
    });

    test('hear nothing after they were closed', async () => {
      await using harness = await createHarness({ transport, codec });
      const echo = new Echo(harness.server());
      const client = harness.client({}, 'client-1');
      const call = new Recorder(client.openSession('SERVER'), 's1');
      call.open(0);
      await harness.settled();
      call.send(1);
      call.end();
      await harness.settled();
      expect(echo.received).toHaveLength(2);
      expect(call.payloads).toEqual([0]);
      client.hardDisconnect();
      expect(call.ends).toEqual([]);
      echo.end();
    });

    test('hear of the session’s end exactly once, and of nothing afterwards', async () => {
      await using harness = await createHarness({ transport, codec });
      const echo = new Echo(harness.server());
      const client = harness.client({}, 'client-1');
      const port = client.openSession('SERVER');
      const calls = Array.from({ length: 20 }, (_, n) => new Recorder(port, `s${n}`));
      for (const call of calls) call.open(0);
      await harness.settled();
      for (const call of calls) call.send(1);
      client.hardDisconnect();
      await harness.advance(2_000);
      for (const call of calls) {
        expect(call.ends).toEqual(['closed_locally']);
        expect(call.payloads).toEqual([0]);
        expect(() => call.send(2)).toThrow(SessionClosedError);
      }
      expect(echo.ends).toHaveLength(20);
      expect(port.isOpen).toBe(false);
      expect(port.streamCount).toBe(0);
    });

    test('may be opened and closed from within what another one is told', async () => {
      await using set = await setup();
      const told: string[] = [];
      const second = new Recorder(set.port, 's2');
      set.port.openStream('s1', {
        onMessage: () => undefined,
        onSessionEnd: () => {
          told.push('s1');
          set.port.closeStream('s2');
          expect(() => set.port.openStream('s3', second)).toThrow(SessionClosedError);
        },
      });
      second.open({});
      await set.harness.settled();
      set.client.hardDisconnect();
      expect(told).toEqual(['s1']);
      expect(second.ends.length).toBeLessThanOrEqual(1);
    });
  });

  describe('what waits for the first answer', () => {
    test('is encoded when it is sent: what happens to the payload afterwards does not matter', async () => {
      await using set = await setup();
      const payload = { n: 1, bytes: new Uint8Array([1, 2]), nested: { big: 5n } };
      set.port.send(dataMessage('s1', payload));
      payload.n = 2;
      payload.bytes[0] = 9;
      payload.nested.big = 6n;
      await set.harness.settled();
      set.port.send(dataMessage('s1', payload));
      payload.n = 3;
      await set.harness.settled();
      expect(set.payloads).toEqual([
        { n: 1, bytes: new Uint8Array([1, 2]), nested: { big: 5n } },
        { n: 2, bytes: new Uint8Array([9, 2]), nested: { big: 6n } },
      ]);
    });

    test('fails at once where it cannot be encoded', async () => {
      await using set = await setup();
      expect(() => set.port.send(dataMessage('s1', () => undefined))).toThrow();
      set.port.send(dataMessage('s1', 'fine'));
      await set.harness.settled();
      expect(set.payloads).toEqual(['fine']);
    });

    test('can be taken back, stream by stream, and then the peer never hears of it', async () => {
      await using set = await setup();
      const confirmed: string[] = [];
      set.port.send({ streamId: 'a', controlFlags: 2, payload: 'a1' });
      set.port.send({ streamId: 'b', controlFlags: 2, payload: 'b1' });
      set.port.send(dataMessage('a', 'a2'));
      set.port.send(dataMessage('c', 'c1'));
      set.port.onceConfirmed('s1', () => confirmed.push('all'));
      expect(set.port.unsend('a')).toBe(true);
      expect(set.port.unsend('a')).toBe(false);
      // Its opening message was not among it.
      expect(set.port.unsend('c')).toBe(false);
      set.port.send(dataMessage('b', 'b2'));
      await set.harness.advance(6_000);
      expect(set.payloads).toEqual(['b1', 'b2']);
      expect(confirmed).toEqual(['all']);
      set.port.send({ streamId: 'd', controlFlags: 2, payload: 'd1' });
      expect(set.port.unsend('d')).toBe(false);
      await set.harness.settled();
      expect(set.payloads.at(-1)).toBe('d1');
    });

    test('frees its room when it is taken back', async () => {
      const limits = { maxSessionBufferBytes: 50_000, sessionHighWaterBytes: 10_000, maxMessageBytes: 50_000 };
      await using set = await setup(limits);
      for (let n = 0; n < 20; n++) {
        set.port.send({ streamId: `s${n}`, controlFlags: 2, payload: 'x'.repeat(30_000) });
        expect(set.port.isWriteReady('s1')).toBe(false);
        expect(set.port.unsend(`s${n}`)).toBe(true);
        expect(set.port.isWriteReady('s1')).toBe(true);
      }
      await set.harness.settled();
      expect(set.received).toEqual([]);
    });

    test('keeps its order with what is sent afterwards', async () => {
      await using set = await setup();
      for (let n = 0; n < 50; n++) set.port.send(dataMessage('s1', n));
      set.client.addEventListener('sessionTransition', ({ state }) => {
        if (state === 'Connected') for (let n = 50; n < 60; n++) set.port.send(dataMessage('s1', n));
      });
      await set.harness.settled();
      expect(set.payloads).toEqual(Array.from({ length: 60 }, (_, n) => n));
    });
  });

  describe('a deadline', () => {
    const opening = (deadlineAt: number | undefined): OutgoingMessage => ({
      streamId: 's1',
      controlFlags: 2,
      serviceName: 'service',
      procedureName: 'procedure',
      tracing: NO_TRACE,
      deadlineAt,
      payload: {},
    });

    test.each([
      { what: 'beats went to and fro', random: 0 },
      { what: 'nothing was said', random: 0.9 },
    ])(
      'travels in session time: it ends at the same moment on both sides after a reconnect, where $what before',
      async ({ random }) => {
        await using set = await setup();
        const { clock } = set.harness;
        clock.random = () => random;
        await set.harness.advance(3_000);
        const deadlineAt = clock.now() + 10_000;
        await set.away();
        set.port.send(opening(deadlineAt));
        await set.harness.advance(7_000);
        await set.back();
        expect(set.received).toHaveLength(1);
        expect(set.received[0]?.deadlineAt).toBeCloseTo(deadlineAt, 0);
      },
    );

    test('that is set before the first answer is kept, too', async () => {
      await using set = await setup();
      const deadlineAt = set.harness.clock.now() + 10_000;
      set.port.send(opening(deadlineAt));
      await set.harness.settled();
      expect(set.received[0]?.deadlineAt).toBeCloseTo(deadlineAt, 0);
    });

    test.each([
      { who: 'the client', client: { extensions: { deadline: false } }, server: {} },
      { who: 'the server', client: {}, server: { extensions: { deadline: false } } },
    ])('is not sent where $who does not speak it', async ({ client, server }) => {
      await using set = await setup(client, server);
      set.port.send(opening(set.harness.clock.now() + 10_000));
      await set.harness.settled();
      expect(set.received).toHaveLength(1);
      expect(set.received[0]).not.toHaveProperty('deadline');
      expect(set.received[0]?.deadlineAt).toBeUndefined();
    });

    test('that is over is sent as one that is over, not as one that never was', async () => {
      await using harness = await createHarness({ transport, codec });
      using server = new BareServer(harness.link, codec);
      const client = harness.client({}, 'client-1');
      const port = client.openSession('SERVER');
      const peer = await server.accepted();
      await peer.acceptHandshake({ deadline: {} });
      await harness.settled();
      port.send(opening(harness.clock.now() - 5_000));
      port.send(opening(harness.clock.now() + 5_000));
      port.send(opening(undefined));
      expect((await peer.next()).deadline).toBe(0);
      expect((await peer.next()).deadline).toBe(5_000);
      expect(await peer.next()).not.toHaveProperty('deadline');
    });

    test('of a peer that did not agree on deadlines means nothing', async () => {
      await using harness = await createHarness({ transport, codec });
      using server = new BareServer(harness.link, codec);
      const client = harness.client({}, 'client-1');
      const call = new Recorder(client.openSession('SERVER'), 's1');
      call.open({});
      const peer = await server.accepted();
      await peer.acceptHandshake({});
      peer.send(messageOf({ from: 'SERVER', to: 'client-1', deadline: 5, payload: 'late?' }));
      await harness.settled();
      expect(call.messages[0]?.payload).toBe('late?');
      expect(call.messages[0]?.deadlineAt).toBeUndefined();
      call.end();
    });
  });

  describe('an idempotency key', () => {
    const kept = { instance: 'i1', ttlMs: 60_000, durable: false };
    const keyed = (callKey: CallKey): OutgoingMessage => ({
      streamId: 's1',
      controlFlags: 10,
      serviceName: 'a',
      procedureName: 'b',
      tracing: NO_TRACE,
      payload: {},
      callKey,
    });

    test.each<{ when: string; connectFirst: boolean }>([
      { when: 'before the first answer', connectFirst: false },
      { when: 'after it', connectFirst: true },
    ])('and what a repeat knows of the first attempt arrive, set $when', async ({ connectFirst }) => {
      await using set = await setup();
      set.server.setIdempotency(kept);
      if (connectFirst) await set.harness.settled();
      const knownUntil = set.harness.clock.now() + 10_000;
      set.port.send(keyed({ key: 'clé 🔑' }));
      set.port.send({ ...keyed({ key: '', first: { instance: 'i0', knownUntil } }), streamId: 's2' });
      await set.harness.settled();
      const [first, repeat] = set.received.map(({ callKey }) => callKey);
      expect(first).toEqual({ key: 'clé 🔑' });
      expect(repeat).toEqual({ key: '', first: { instance: 'i0', knownUntil: expect.closeTo(knownUntil, -1) } });
    });

    test('is not sent to a server that keeps nothing: before the first answer the stream ends, after it sending throws', async () => {
      await using set = await setup();
      const call = new Recorder(set.port, 's1');
      set.port.openStream('s1', call);
      set.port.send(keyed({ key: 'k' }));
      await set.harness.settled();
      expect(call.ends).toEqual(['idempotency_unsupported']);
      expect(set.port.isOpen).toBe(true);
      expect(() => set.port.send(keyed({ key: 'k' }))).toThrow(IdempotencyUnsupportedError);
      await set.harness.settled();
      expect(set.received).toEqual([]);
    });

    test('of a peer that did not agree on them means nothing', async () => {
      await using set = await setup();
      using peer = new BarePeer(await set.harness.link.dial('SERVER'), codec);
      await peer.handshake({ from: 'bare', extensions: {} });
      peer.send(messageOf({ from: 'bare', controlFlags: 10, idempotency: { key: 'k' } }));
      await set.harness.settled();
      expect(set.received).toHaveLength(1);
      expect(set.received[0]?.callKey).toBeUndefined();
    });

    test.each([
      { key: 5 },
      {},
      'k',
      null,
      { key: 'k', instance: 'i' },
      { key: 'k', until: 5 },
      { key: 'k', instance: 'i', until: -1 },
    ])('of another shape is no message: %j', async (idempotency) => {
      await using set = await setup();
      using peer = new BarePeer(await set.harness.link.dial('SERVER'), codec);
      await peer.handshake({ from: 'bare', extensions: {} });
      peer.send(messageOf({ from: 'bare', controlFlags: 10, idempotency }));
      await peer.closed();
      expect(set.server.sessions.has('bare')).toBe(false);
    });
  });

  describe('messages that one turn sent', () => {
    const send = (port: SessionPort, payload: unknown) =>
      port.send({ streamId: port.newStreamId(), controlFlags: 2, payload });

    test('are handled one after the other: nothing comes after one that ends the session', async () => {
      await using set = await setup();
      set.harness.losesMessages = true;
      await set.harness.settled();
      const { server, received } = set;
      const push = received.push.bind(received);
      received.push = (message) => {
        if (message.payload === 'end') server.hardDisconnect();
        return push(message);
      };
      for (const payload of ['first', 'end', 'never', 'nor this']) send(set.port, payload);
      await set.harness.settled();
      expect(set.payloads).toEqual(['first', 'end']);
    });

    test('come in order whatever each of them causes, and so does what comes meanwhile', async () => {
      await using set = await setup();
      await set.harness.settled();
      const { server, received } = set;
      const push = received.push.bind(received);
      received.push = (message) => {
        server.requestRehandshake('nobody');
        return push(message);
      };
      // Several frames' worth.
      const count = 2_000;
      for (let n = 0; n < count; n++) send(set.port, `${n} ${'x'.repeat(100)}`);
      await set.harness.settled();
      expect(received.map(({ payload }) => Number.parseInt(String(payload), 10))).toEqual(
        Array.from({ length: count }, (_, n) => n),
      );
    });
  });

  test('says who it is and how it stands', async () => {
    await using set = await setup();
    expect(set.port).toMatchObject({
      from: 'client-1',
      to: 'SERVER',
      isOpen: true,
      isConnected: false,
      speaksExtensions: false,
    });
    await set.harness.settled();
    expect(set.port).toMatchObject({ isConnected: true, speaksExtensions: true });
    expect(set.client.openSession('SERVER')).toBe(set.port);
    expect(set.client.findSession('SERVER')).toBe(set.port);
    const far = set.server.sessions.get('client-1')?.core;
    expect(far).toMatchObject({
      id: set.port.id,
      from: 'SERVER',
      to: 'client-1',
      isConnected: true,
      speaksExtensions: true,
    });
    await set.away();
    expect(set.port).toMatchObject({ isOpen: true, isConnected: false });
  });
});
