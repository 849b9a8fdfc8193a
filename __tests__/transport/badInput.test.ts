import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { MessageTooLargeError } from '../../transport/errors.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../transport/options.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import { Bystander } from '../support/bystander.ts';
import { Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const notStrings = [undefined, null, 5, true, {}, ['client-1'], 7n];
const notCounters = [undefined, null, -1, 1.5, '0', {}, [], true, 2 ** 53, -(2 ** 53), 3n];
/** MessagePack carries these; in JSON they are null. */
const notNumbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Every field of the envelope, and values that it must not have. */
const wrongFields: Record<string, unknown[]> = {
  id: notStrings,
  from: notStrings,
  to: notStrings,
  streamId: notStrings,
  seq: [...notCounters, ...notNumbers],
  ack: [...notCounters, ...notNumbers],
  controlFlags: [...notCounters, ...notNumbers],
  serviceName: [null, 5, {}, []],
  procedureName: [null, 5, {}, []],
  tracing: [
    null,
    5,
    'x',
    [],
    {},
    { traceparent: '' },
    { traceparent: 1, tracestate: '' },
    { traceparent: '', tracestate: null },
  ],
  deadline: [null, 'soon', {}, -1, 1.5, 2 ** 53, ...notNumbers],
};

const cases = Object.entries(wrongFields).flatMap(([field, values]) =>
  values.map((value) => ({
    field,
    value,
    shown: typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? 'nothing'),
  })),
);

const garbage: [what: string, frame: Uint8Array][] = [
  ['nothing at all', new Uint8Array(0)],
  ['a zero', new Uint8Array([0])],
  ['random bytes', new Uint8Array([0x9c, 0xff, 0x13, 0x37, 0xc1, 0xc1])],
  ['half a JSON object', new TextEncoder().encode('{"id":"x","from":')],
  ['a JSON array', new TextEncoder().encode('[1,2,3]')],
  ['a JSON null', new TextEncoder().encode('null')],
  ['text that is no JSON', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
  ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
  ['a MessagePack nil', new Uint8Array([0xc0])],
  ['a MessagePack array that claims 2^32 items', new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff])],
  ['a MessagePack map that claims 2^32 entries', new Uint8Array([0xdf, 0xff, 0xff, 0xff, 0xff])],
  ['an array bomb', new Uint8Array(500).map((_, n) => [0xdd, 0x01, 0xc9, 0xc3, 0x80][n % 5] ?? 0)],
  ['brackets 100 000 deep', new Uint8Array(100_000).fill(0x5b)],
  ['arrays of one 100 000 deep', new Uint8Array(100_000).fill(0x91)],
];

describe.each(matrix)('what a client may send to a server over $name', ({ transport, codec }) => {
  /** A bare client in a session of its own, beside an honest one. */
  async function setup(options: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    const bystander = await Bystander.join(harness, harness.server(options));
    const { server } = bystander;
    const events = new TransportEventLog(server);
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    const peer = await dial();
    await peer.handshake();
    events.clear();
    return {
      harness,
      server,
      bystander,
      events,
      peer,
      dial,
      get session() {
        return server.sessions.get('client-1');
      },
      /** The session is over, said so once, and nobody else noticed. */
      async expectViolation() {
        await peer.closed();
        await harness.settled();
        expect(events.lines).toEqual([
          'error invalid_message',
          'closing session-1 protocol_violation',
          'closed session-1 protocol_violation',
        ]);
        expect(events.errors[0]).toMatchObject({
          sessionId: 'session-1',
          peer: 'client-1',
          message: expect.any(String),
        });
        await bystander.expectUndisturbed();
      },
      async [Symbol.asyncDispose]() {
        peer.close();
        await bystander[Symbol.asyncDispose]();
      },
    };
  }

  test.each(garbage)('%s ends the session', async (_what, frame) => {
    await using set = await setup();
    const startedAt = performance.now();
    set.peer.sendBytes(frame);
    await set.expectViolation();
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  test('an envelope with a wrong field ends the session, whichever field and value', async () => {
    const harness = await createHarness({ transport, codec });
    await using bystander = await Bystander.join(harness);
    const events = new TransportEventLog(bystander.server);
    const survived: string[] = [];
    for (const { field, value, shown } of cases) {
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      await peer.handshake();
      events.clear();
      const message = messageOf({ serviceName: 's', procedureName: 'p', [field]: value });
      peer.send(message);
      await harness.settled();
      const isOver = events.ends.join() === 'protocol_violation' && peer.isClosed;
      const isNamed = events.errors.length === 1 && events.errors[0]?.message.includes(field) === true;
      // `from` and `to` of the right type are judged as sender and receiver; here all are of a wrong type.
      if (!isOver || !isNamed) survived.push(`${field}: ${shown}`);
    }
    expect(survived).toEqual([]);
    await bystander.expectUndisturbed();
  });

  test('a message in somebody else’s name ends the session of who sent it, not the other’s', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ from: 'bystander', streamId: 'bystander', payload: 'forged' }));
    await set.expectViolation();
    expect(set.bystander.echo.received.map(({ payload }) => payload)).not.toContain('forged');
  });

  test('a message to somebody else ends the session', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ to: 'OTHER' }));
    await set.expectViolation();
  });

  test('an ack beyond what was sent ends the session', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ ack: 1 }));
    await set.expectViolation();
  });

  test('an ack below the highest is ignored', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ seq: 0, payload: 'a' }));
    await set.peer.next();
    set.peer.send(messageOf({ seq: 1, ack: 1, payload: 'b' }));
    await set.peer.next();
    expect(set.session?.core.ledger.oldestUnackedSeq).toBe(1);
    set.peer.send(messageOf({ seq: 2, ack: 0, payload: 'c' }));
    expect(await set.peer.next()).toMatchObject({ payload: 'c' });
    expect(set.session?.core.ledger.oldestUnackedSeq).toBe(1);
    expect(set.events.lines).toEqual([]);
  });

  test('a gap closes the connection and keeps the session: it resumes, and what was missing comes once', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ seq: 0, payload: 'first' }));
    await set.peer.next();
    set.peer.send(messageOf({ seq: 2, ack: 99, payload: 'third' }));
    await set.peer.closed();
    await set.harness.settled();
    expect(set.events.lines).toEqual(['NoConnection']);
    using back = await set.dial();
    expect(await back.handshake({ state: { nextExpectedSeq: 1, nextSentSeq: 1 } })).toMatchObject({ ok: true });
    back.send(messageOf({ seq: 1, ack: 1, payload: 'second' }));
    back.send(messageOf({ seq: 2, ack: 1, payload: 'third' }));
    expect(await back.next()).toMatchObject({ payload: 'second' });
    expect(await back.next()).toMatchObject({ payload: 'third' });
    await set.bystander.expectUndisturbed();
  });

  test('a duplicate is dropped: neither delivered, nor answered, nor believed', async () => {
    await using set = await setup();
    set.peer.send(messageOf({ seq: 0, payload: 'once' }));
    await set.peer.next();
    const before = set.bystander.echo.received.length;
    set.peer.send(messageOf({ seq: 0, payload: 'once' }));
    // Its ack is not looked at: it is of the time when the message was built, and this one is a lie.
    set.peer.send(messageOf({ seq: 0, ack: 99, payload: 'again' }));
    await set.harness.settled();
    expect(set.bystander.echo.received).toHaveLength(before);
    expect(set.peer.messages).toHaveLength(2);
    set.peer.send(messageOf({ seq: 1, ack: 1, payload: 'next' }));
    expect(await set.peer.next()).toMatchObject({ seq: 1, payload: 'next' });
    expect(set.events.lines).toEqual([]);
  });

  test('frames of a connection that was replaced have no effect any more', async () => {
    await using set = await setup();
    using second = await set.dial();
    const answered = second.handshake();
    set.peer.send(messageOf({ seq: 0, payload: 'before or never' }));
    await answered;
    for (const frame of [messageOf({ seq: 1 }), messageOf({ from: 'nobody' })]) set.peer.send(frame);
    set.peer.sendBytes(new Uint8Array([0]));
    await set.peer.closed();
    await set.harness.settled();
    expect(set.session?.state).toBe('Connected');
    expect(set.events.ends).toEqual([]);
    expect(second.isClosed).toBe(false);
  });

  test('unknown flags, streams and fields harm nobody', async () => {
    await using set = await setup();
    const odd = [
      messageOf({ seq: 0, controlFlags: 2 ** 52, payload: 'flags' }),
      messageOf({ seq: 1, streamId: '', payload: 'no stream' }),
      messageOf({ seq: 2, streamId: '__proto__', payload: 'proto' }),
      messageOf({ seq: 3, streamId: 'constructor', payload: 'constructor' }),
      messageOf({ seq: 4, extra: { anything: true }, payload: 'extra' }),
      messageOf({ seq: 5, streamId: 'heartbeat', controlFlags: 0, payload: 'no beat' }),
    ];
    for (const message of odd) {
      set.peer.send(message);
      expect(await set.peer.next()).toMatchObject({ payload: message['payload'] });
    }
    expect(set.events.lines).toEqual([]);
    await set.bystander.expectUndisturbed();
  });

  test('a message as large as the limit is taken, one byte more ends the session', async () => {
    const maxMessageBytes = 5_000;
    await using set = await setup({ maxMessageBytes });
    const sized = (seq: number, bytes: number) => {
      const payload = (length: number) => messageOf({ seq, ack: seq, payload: 'x'.repeat(length) });
      let length = bytes - codec.toBuffer(payload(1_000)).length + 1_000;
      while (codec.toBuffer(payload(length)).length < bytes) length += 1;
      return codec.toBuffer(payload(length));
    };
    const largest = sized(0, maxMessageBytes);
    expect(largest).toHaveLength(maxMessageBytes);
    set.peer.sendBytes(largest);
    await set.harness.settled();
    expect(set.session?.core.ledger.ack).toBe(1);
    const larger = sized(1, maxMessageBytes + 1);
    expect(larger).toHaveLength(maxMessageBytes + 1);
    set.peer.sendBytes(larger);
    await set.expectViolation();
  });

  test('a first frame over the limit closes the connection, and that is all', async () => {
    await using set = await setup({ maxMessageBytes: 5_000 });
    using peer = await set.dial();
    peer.sendBytes(new Uint8Array(5_001).fill(0x7b));
    await peer.closed();
    expect(peer.messages).toEqual([]);
    expect(set.server.pendingHandshakes).toBe(0);
    await set.bystander.expectUndisturbed();
  });
});

describe.each(matrix)('what a server may send to a client over $name', ({ transport, codec }) => {
  async function setup(options: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = new BareServer(harness.link, codec);
    const client = harness.client({ heartbeatIntervalMs: 60_000, ...options }, 'client-1');
    const events = new TransportEventLog(client);
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open('open');
    const peer = await server.accepted();
    await peer.acceptHandshake({});
    await peer.next();
    await harness.settled();
    events.clear();
    return {
      harness,
      server,
      client,
      events,
      call,
      peer,
      send: (fields: Record<string, unknown>) => peer.send(messageOf({ from: 'SERVER', to: 'client-1', ...fields })),
      /** The session and its calls are over; the intent is not: another session is asked for. */
      async expectViolation() {
        await peer.closed();
        await harness.settled();
        expect(events.lines.slice(0, 3)).toEqual([
          'error invalid_message',
          `closing ${call.port.id} protocol_violation`,
          `closed ${call.port.id} protocol_violation`,
        ]);
        expect(call.ends).toEqual(['protocol_violation']);
        await harness.advance(400);
        const next = await server.accepted();
        const request = await next.acceptHandshake({});
        expect(request.payload).toMatchObject({ expectedSessionState: { nextExpectedSeq: 0, nextSentSeq: 0 } });
        await harness.settled();
        expect(client.findSession('SERVER')?.isConnected).toBe(true);
      },
      async [Symbol.asyncDispose]() {
        call.end();
        server[Symbol.dispose]();
        await harness[Symbol.asyncDispose]();
      },
    };
  }

  test.each(garbage)('%s ends the session, and a new one is begun', async (_what, frame) => {
    await using set = await setup();
    set.peer.sendBytes(frame);
    await set.expectViolation();
  });

  test.each([
    { what: 'another sender', fields: { from: 'OTHER' } },
    { what: 'another receiver', fields: { to: 'client-2' } },
    { what: 'an ack beyond what was sent', fields: { ack: 2 } },
    { what: 'an ack that is no number', fields: { ack: '1' } },
    { what: 'a negative seq', fields: { seq: -1 } },
    { what: 'no streamId', fields: { streamId: undefined } },
  ])('$what ends the session, and a new one is begun', async ({ fields }) => {
    await using set = await setup();
    set.send({ seq: 0, ack: 1, ...fields });
    await set.expectViolation();
  });

  test('a gap closes the connection, and the client comes back with the same session', async () => {
    await using set = await setup();
    set.send({ seq: 0, ack: 1, payload: 'first' });
    set.send({ seq: 2, ack: 1, payload: 'third' });
    await set.peer.closed();
    await set.harness.advance(400);
    const next = await set.server.accepted();
    const request = await next.next();
    expect(request.payload).toMatchObject({
      sessionId: set.call.port.id,
      expectedSessionState: { nextExpectedSeq: 1, nextSentSeq: 1 },
    });
    expect(set.call.payloads).toEqual(['first']);
    expect(set.call.ends).toEqual([]);
    expect(set.events.errors).toEqual([]);
  });

  test('a duplicate is dropped, a message of a stream that is over goes nowhere', async () => {
    await using set = await setup();
    set.send({ seq: 0, ack: 1, payload: 'first' });
    set.send({ seq: 0, ack: 77, payload: 'first' });
    set.send({ seq: 1, ack: 0, streamId: 'unknown', payload: 'nobody' });
    set.send({ seq: 2, ack: 1, payload: 'second' });
    await set.harness.settled();
    expect(set.call.payloads).toEqual(['first', 'second']);
    expect(set.events.lines).toEqual([]);
  });

  test('a frame over the client’s limit ends the session', async () => {
    await using set = await setup({ maxMessageBytes: 5_000 });
    set.send({ seq: 0, ack: 1, payload: 'x'.repeat(6_000) });
    await set.expectViolation();
  });
});

describe.each(matrix)('a limit on messages over $name', ({ transport, codec }) => {
  test('refuses what is too large where it is sent, and the session goes on', async () => {
    const harness = await createHarness({ transport, codec });
    await using bystander = await Bystander.join(harness);
    const client = harness.client({ maxMessageBytes: 5_000 }, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    expect(() => call.port.send({ streamId: 's1', controlFlags: 2, payload: 'x'.repeat(6_000) })).toThrow(
      MessageTooLargeError,
    );
    call.open('fits');
    await harness.settled();
    expect(() => call.send('x'.repeat(6_000))).toThrow(MessageTooLargeError);
    call.send('fits, too');
    await harness.settled();
    expect(call.payloads).toEqual(['fits', 'fits, too']);
    expect(call.ends).toEqual([]);
    call.end();
    await bystander.expectUndisturbed();
  });

  test('that is lower at the server ends the session once instead of sending the same message again for ever', async () => {
    const harness = await createHarness({ transport, codec });
    await using bystander = await Bystander.join(harness, harness.server({ maxMessageBytes: 5_000 }));
    const client = harness.client({ sessionDisconnectGraceMs: 60_000 }, 'client-1');
    const events = new TransportEventLog(client);
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open('fits');
    await harness.settled();
    call.send('x'.repeat(6_000));
    await harness.advance(30_000);
    expect(call.ends).toEqual(['state_mismatch']);
    expect(events.lines.filter((line) => line === 'Connected').length).toBeLessThanOrEqual(2);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
    await bystander.expectUndisturbed();
  });

  test('counts the whole frame, also of what waits for the first answer', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const received: unknown[] = [];
    server.bindOpener({
      onUnclaimedMessage: (_port, { payload }) => received.push(payload),
      onSessionEnded: () => undefined,
    });
    const client = harness.client({ maxMessageBytes: 2_000 }, 'client-1');
    const port = client.openSession('SERVER');
    const send = (name: string, bytes: number, streamId = 's') => {
      try {
        port.send({ streamId, controlFlags: 2, serviceName: name, procedureName: name, payload: 'x'.repeat(bytes) });
        return 'sent';
      } catch (error) {
        return error instanceof MessageTooLargeError ? 'refused' : String(error);
      }
    };
    const outcomes = [
      send('s'.repeat(700), 1_000),
      send('s', 1_000, 's'.repeat(1_000)),
      send('\u0000'.repeat(200), 500),
      send('ü'.repeat(400), 700),
      send('s', 5),
    ];
    await harness.settled();
    // Whatever was not refused has arrived, in order.
    expect(received).toEqual(
      outcomes.flatMap((outcome, n) => (outcome === 'sent' ? ['x'.repeat([1_000, 1_000, 500, 700, 5][n] ?? 0)] : [])),
    );
    expect(outcomes.at(-1)).toBe('sent');
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
  });
});
