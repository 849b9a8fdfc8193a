import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Codec } from '../../codec/codec.ts';
import { JsonCodec } from '../../codec/json.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ClientTransport } from '../../transport/client.ts';
import type { TransportEventName } from '../../transport/events.ts';
import type { ClientTransportOptions, SettledTransportOptions } from '../../transport/options.ts';
import type { OpenTelemetryApi } from '../../transport/telemetry.ts';
import type { Transport } from '../../transport/transport.ts';
import { BarePeer, messageOf, requestOf } from '../support/barePeer.ts';
import { Bystander } from '../support/bystander.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const eventNames: TransportEventName[] = ['sessionStatus', 'sessionTransition', 'protocolError', 'transportStatus'];

// biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
const failing = { then: (_: unknown, fail: (error: Error) => void) => fail(new Error('mine')) };

/** What a callback may do that it should not. Declared as returning nothing, as the API wants it. */
const failures: Record<string, () => void> = {
  throws: () => {
    throw new Error('mine');
  },
  'throws nothing': () => {
    throw undefined;
  },
  rejects: () => Promise.reject(new Error('mine')),
  'returns a thenable that fails': () => failing,
};

/** A thenable that nobody asks fails in silence. */
function isReported(fail: () => void): boolean {
  return fail !== failures['returns a thenable that fails'];
}

/** Rejections that nobody handled while a test ran: each would have ended the process. */
let unhandled: unknown[] = [];
const note = (error: unknown) => {
  unhandled.push(error);
};

beforeEach(() => {
  unhandled = [];
  process.on('unhandledRejection', note);
});

afterEach(() => {
  process.off('unhandledRejection', note);
});

/** Rejections come to light once the loop has turned. */
async function expectNoRejection(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
}

function listenToEverything(transport: Transport<SettledTransportOptions>, listener: () => void): void {
  for (const name of eventNames) transport.addEventListener(name, listener);
}

describe.each(matrix)('an application that misbehaves over $name', ({ transport, codec }) => {
  /** A second client beside the honest one, on one server. */
  async function setup() {
    const harness = await createHarness({ transport, codec });
    const bystander = await Bystander.join(harness);
    const { server } = bystander;
    const client = harness.client({}, 'client-1');
    const logs: string[] = [];
    for (const side of [server, client]) side.bindLogger((message) => logs.push(message), 'error');
    return {
      harness,
      server,
      client,
      bystander,
      logs,
      call: new Recorder(client.openSession('SERVER'), 's1'),
      [Symbol.asyncDispose]: () => bystander[Symbol.asyncDispose](),
    };
  }

  /** Everything that has events: a session is made, cut, resumed, refused, and ended. */
  async function live(set: Awaited<ReturnType<typeof setup>>): Promise<void> {
    const { harness, call } = set;
    call.open(1);
    await harness.settled();
    const session = set.client.sessions.get('SERVER');
    if (session?.state === 'Connected') session.connection.break();
    call.send(2);
    await harness.advance(1_000);
    expect(call.payloads).toEqual([1, 2]);
    using refused = new BarePeer(await harness.link.dial('SERVER'), codec);
    await refused.handshake({ from: 'stranger', state: { nextExpectedSeq: 1, nextSentSeq: 1 } });
    set.client.hardDisconnect();
    await harness.advance(1_000);
    expect(call.ends).toEqual(['closed_locally']);
    expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
  }

  test.each(Object.entries(failures))('a listener that %s harms nobody, and is reported', async (_name, listener) => {
    await using set = await setup();
    listenToEverything(set.server, listener);
    listenToEverything(set.client, listener);
    await live(set);
    await set.bystander.expectUndisturbed();
    await expectNoRejection();
    expect(set.logs.some((line) => line.includes('listener'))).toBe(true);
  });

  test.each(Object.entries(failures))('a logger that %s harms nobody', async (_name, log) => {
    await using set = await setup();
    set.server.bindLogger(log, 'debug');
    set.client.bindLogger(log, 'debug');
    await live(set);
    await set.bystander.expectUndisturbed();
    await expectNoRejection();
  });

  test.each(Object.entries(failures))('a receiver that %s harms nobody, and is reported', async (_name, fail) => {
    await using set = await setup();
    const { port } = set.call;
    port.openStream('bad', { onMessage: fail, onSessionEnd: fail });
    port.send({ streamId: 'bad', controlFlags: 2, payload: 'echo me' });
    await set.harness.settled();
    await live(set);
    await set.bystander.expectUndisturbed();
    await expectNoRejection();
    if (isReported(fail)) expect(set.logs.length).toBeGreaterThan(0);
  });

  test.each(Object.entries(failures))('an opener that %s harms nobody, and is reported', async (_name, fail) => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const logs: string[] = [];
    server.bindLogger((message) => logs.push(message), 'error');
    server.bindOpener({ onUnclaimedMessage: fail, onSessionEnded: fail });
    const client = harness.client({}, 'client-1');
    const port = client.openSession('SERVER');
    for (let n = 0; n < 3; n++) port.send({ streamId: `s${n}`, controlFlags: 2, payload: n });
    await harness.settled();
    expect(server.sessions.get('client-1')?.core.ledger.ack).toBe(3);
    server.hardDisconnect();
    await harness.advance(1_000);
    expect(server.sessions.size).toBe(1);
    await expectNoRejection();
    if (isReported(fail)) expect(logs.length).toBeGreaterThan(0);
  });

  test.each(['throws', 'throws nothing'])(
    'a callback of a confirmation, or of room to write, that %s keeps no other from being called',
    async (name) => {
      const fail = failures[name] ?? (() => undefined);
      await using set = await setup();
      const { port } = set.call;
      const called: string[] = [];
      set.call.open(0);
      port.onceConfirmed('s1', fail);
      port.onceWriteReady('s1', fail);
      port.onceConfirmed('s1', () => called.push('confirmed'));
      port.onceWriteReady('s1', () => called.push('ready'));
      await set.harness.settled();
      set.call.send(1);
      port.onceConfirmed('s1', () => called.push('confirmed later'));
      await set.harness.settled();
      await set.harness.advance(6_000);
      expect(called.sort()).toEqual(['confirmed', 'confirmed later', 'ready']);
      expect(set.call.payloads).toEqual([0, 1]);
      expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
      set.call.end();
      await set.bystander.expectUndisturbed();
      await expectNoRejection();
    },
  );

  test.each(['startSpan', 'setSpan', 'end', 'inject', 'extract'])(
    'a telemetry API whose %s throws harms nobody',
    async (name) => {
      const fail = (): void => {
        throw new Error('mine');
      };
      const span = {
        setAttribute: () => undefined,
        addEvent: () => undefined,
        recordException: () => undefined,
        setStatus: () => undefined,
        end: name === 'end' ? fail : () => undefined,
      };
      const telemetry: OpenTelemetryApi = {
        trace: {
          getTracer: () => ({ startSpan: name === 'startSpan' ? fail : () => span }),
          setSpan: name === 'setSpan' ? fail : () => ({}),
        },
        context: { active: () => ({}), with: (_context, fn) => fn() },
        propagation: {
          inject:
            name === 'inject' ? fail : (_context, carrier) => Object.assign(carrier, { traceparent: '00-1-2-01' }),
          extract: name === 'extract' ? fail : () => ({}),
        },
      };
      await using harness = await createHarness({ transport, codec });
      const server = harness.server({ telemetry });
      const echo = new Echo(server);
      const client = harness.client({ telemetry }, 'client-1');
      const other = new Recorder(harness.client({}, 'client-2').openSession('SERVER'), 's2');
      const call = new Recorder(client.openSession('SERVER'), 's1');
      call.open(1);
      other.open(1);
      await harness.settled();
      const session = client.sessions.get('SERVER');
      if (session?.state === 'Connected') session.connection.break();
      call.send(2);
      await harness.advance(1_000);
      expect(call.payloads).toEqual([1, 2]);
      client.hardDisconnect();
      await harness.advance(1_000);
      expect(call.ends).toEqual(['closed_locally']);
      expect(client.findSession('SERVER')?.isConnected).toBe(true);
      other.send(2);
      await harness.settled();
      expect(other.payloads).toEqual([1, 2]);
      other.end();
      echo.end();
      server.close();
      expect(server.sessions.size).toBe(0);
    },
  );

  test('a listener that closes its own session’s client, whichever event it is told, ends in order', async () => {
    for (const act of ['close', 'hardDisconnect'] as const) {
      for (const at of ['created', 'Connecting', 'Handshaking', 'Connected', 'NoConnection', 'closing'] as const) {
        await using harness = await createHarness({ transport, codec });
        harness.holdsHandshakes = true;
        await using bystander = await Bystander.join(harness);
        const client = harness.client({}, `client ${act} ${at}`);
        const events = new TransportEventLog(client);
        let acted = 0;
        const once = (what: string) => {
          if (what !== at || acted++ > 0) return;
          client[act]();
        };
        client.addEventListener('sessionStatus', ({ status }) => once(status));
        client.addEventListener('sessionTransition', ({ state }) => once(state));
        client.connect('SERVER');
        await harness.settled();
        const session = client.sessions.get('SERVER');
        if (acted === 0 && session?.state === 'Connected') session.connection.break();
        await harness.advance(1_000);
        if (acted === 0) client.hardDisconnect();
        await harness.advance(1_000);
        expect(acted, `${act} at ${at}`).toBeGreaterThan(0);
        expectOrdered(events, `${act} at ${at}`);
        if (act === 'close') expect(client.sessions.size).toBe(0);
        else expect(client.findSession('SERVER')?.isConnected).toBe(true);
        await bystander.expectUndisturbed();
      }
    }
  });

  test('a server’s listener that ends every session, whichever event it is told, ends them in order', async () => {
    for (const act of ['close', 'hardDisconnect'] as const) {
      for (const at of ['created', 'Connected', 'NoConnection', 'closing', 'closed', 'error'] as const) {
        await using harness = await createHarness({ transport, codec });
        harness.holdsHandshakes = true;
        const server = harness.server();
        const events = new TransportEventLog(server);
        let acted = 0;
        const once = (what: string) => {
          if (what !== at || acted++ > 0) return;
          server[act]();
        };
        server.addEventListener('sessionStatus', ({ status }) => once(status));
        server.addEventListener('sessionTransition', ({ state }) => once(state));
        server.addEventListener('protocolError', () => once('error'));
        const peers: BarePeer[] = [];
        const dial = async () => {
          const peer = new BarePeer(await harness.link.dial('SERVER'), codec);
          peers.push(peer);
          return peer;
        };
        (await dial()).send(requestOf());
        await harness.settled();
        // What replaces it comes in the very turn in which the listener acts on the old one's end.
        if (acted === 0) (await dial()).send(requestOf({ sessionId: 'session-2' }));
        await harness.settled();
        if (acted === 0) {
          const bad = await dial();
          bad.send(requestOf({ from: 'client-2', sessionId: 'session-3' }));
          await harness.settled();
          bad.send(messageOf({ from: 'nobody' }));
          await harness.settled();
        }
        if (acted === 0) {
          (await dial()).close();
          for (const peer of peers) peer.close();
          await harness.settled();
        }
        expect(acted, `${act} at ${at}`).toBeGreaterThan(0);
        expectOrdered(events, `${act} at ${at}`);
        for (const peer of peers) peer.close();
      }
    }
  });

  test('a receiver or an opener that ends the transport from within a message stops what follows', async () => {
    for (const act of ['close', 'hardDisconnect'] as const) {
      await using harness = await createHarness({ transport, codec });
      harness.holdsHandshakes = true;
      const server = harness.server();
      const received: unknown[] = [];
      const ended: string[] = [];
      server.bindOpener({
        onUnclaimedMessage: (_port, { payload }) => {
          received.push(payload);
          if (payload === 2) server[act]();
        },
        onSessionEnded: ({ id }) => ended.push(id),
      });
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      await peer.handshake();
      for (let seq = 0; seq < 6; seq++) peer.send(messageOf({ seq, payload: seq }));
      await peer.closed();
      await harness.settled();
      expect(received).toEqual([0, 1, 2]);
      expect(ended).toEqual(['session-1']);
    }
  });

  test('a client that connects elsewhere from within its own listener gets both sessions', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server();
    const client = harness.client({}, 'client-1');
    const events = new TransportEventLog(client);
    let connected = 0;
    client.addEventListener('sessionStatus', ({ status }) => {
      if (status === 'created' && connected++ === 0) client.openSession('SERVER');
    });
    client.connect('SERVER');
    await harness.settled();
    expect(client.sessions.size).toBe(1);
    expect(events.lines.filter((line) => line.startsWith('created'))).toHaveLength(1);
    expectOrdered(events, 'connect at created');
  });

  test('a session that is begun and ended from within a listener is created before it is closed', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    harness.server();
    const client = harness.client({}, 'client-1');
    const events = new TransportEventLog(client);
    client.addEventListener('sessionTransition', ({ state }) => {
      if (state !== 'Connected') return;
      client.hardDisconnect();
      client.connect('ELSEWHERE');
    });
    client.connect('SERVER');
    await harness.settled();
    client.close();
    expectOrdered(events, 'hardDisconnect, connect');
    expect(events.lines.filter((line) => line.startsWith('created')).length).toBeGreaterThan(1);
  });
});

/** Every session is created first and closed last, each once; between the two it enters states. */
function expectOrdered(events: TransportEventLog, what: string): void {
  expect(events.told.size, what).toBeGreaterThan(0);
  for (const told of events.told.values())
    expect(told.join(' '), what).toMatch(/^created( [A-Z]\w+)*( closing closed)?$/);
}

/** JSON behind a byte that no other codec begins with; fails on demand. */
class FragileCodec implements Codec {
  readonly name = 'fragile';
  encodeError: (() => unknown) | undefined;
  decodeError: (() => unknown) | undefined;

  toBuffer(value: unknown): Uint8Array {
    const error = this.encodeError?.();
    if (error !== undefined) throw error;
    return new Uint8Array([1, ...JsonCodec.toBuffer(value)]);
  }

  fromBuffer(bytes: Uint8Array): unknown {
    const error = this.decodeError?.();
    if (error !== undefined) throw error;
    return JsonCodec.fromBuffer(bytes.subarray(1));
  }
}

describe.each(['memory', 'ws', 'unix'] as const)('a codec that throws over %s', (transport) => {
  async function setup(options: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec: JsonCodec });
    const codecs = { client: new FragileCodec(), server: new FragileCodec() };
    const bystander = await Bystander.join(harness, harness.server({ codec: codecs.server }));
    const client: ClientTransport = harness.client({ ...options, codec: codecs.client }, 'client-1');
    const events = { client: new TransportEventLog(client), server: new TransportEventLog(bystander.server) };
    return {
      harness,
      codecs,
      bystander,
      client,
      events,
      [Symbol.asyncDispose]: () => bystander[Symbol.asyncDispose](),
    };
  }

  test('nothing is wrong while it does not', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open('hello');
    await set.harness.settled();
    expect(call.payloads).toEqual(['hello']);
    call.end();
  });

  test('on encoding a message: whoever sends it is told, and the session goes on', async () => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    set.codecs.client.encodeError = () => new Error('cannot');
    expect(() => call.send('before the first answer')).toThrow('cannot');
    set.codecs.client.encodeError = undefined;
    call.open('a');
    await set.harness.settled();
    set.codecs.client.encodeError = () => new Error('cannot');
    expect(() => call.send('b')).toThrow('cannot');
    set.codecs.client.encodeError = undefined;
    call.send('c');
    await set.harness.settled();
    expect(call.payloads).toEqual(['a', 'c']);
    expect(set.events.client.ends).toEqual([]);
    call.end();
    await set.bystander.expectUndisturbed();
  });

  test('on encoding the handshake: a failed dial, tried again', async () => {
    await using set = await setup();
    let failures = 0;
    set.codecs.client.encodeError = () => (++failures <= 2 ? new Error('cannot') : undefined);
    set.client.connect('SERVER');
    set.harness.holdsHandshakes = true;
    await set.harness.advance(2_000);
    expect(failures).toBeGreaterThan(2);
    expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
    expect(set.events.client.ends).toEqual([]);
  });

  test('on encoding the answer: the connection is closed at once and holds no slot, and a later dial succeeds', async () => {
    await using set = await setup();
    set.codecs.server.encodeError = () => new Error('cannot');
    set.client.connect('SERVER');
    set.harness.holdsHandshakes = true;
    await set.harness.settled();
    expect(set.bystander.server.pendingHandshakes).toBe(0);
    await set.harness.advance(40);
    expect(set.bystander.server.sessions.size).toBe(1);
    expect(set.client.sessions.get('SERVER')?.state).not.toBe('Handshaking');
    set.codecs.server.encodeError = undefined;
    await set.harness.advance(2_000);
    expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
    await set.bystander.expectUndisturbed();
  });

  test('on encoding an answer that is the transport’s last: closing it leaves nothing behind', async () => {
    await using set = await setup();
    set.codecs.server.encodeError = () => new Error('cannot');
    set.client.connect('SERVER');
    set.harness.holdsHandshakes = true;
    await set.harness.settled();
    set.client.close();
    set.bystander.server.close();
    // Leaving the block fails on whatever timer, socket or pending handshake is left.
    expect(set.bystander.server.pendingHandshakes).toBe(0);
  });

  test('on encoding a beat: it is logged, and the session lives for as long as liveness allows', async () => {
    await using set = await setup({ extensions: { compact: false } }); // a compact beat is not encoded by the codec
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open('a');
    await set.harness.settled();
    const logs: string[] = [];
    set.client.bindLogger((message) => logs.push(message), 'warn');
    let failures = 0;
    set.codecs.client.encodeError = () => (++failures === 1 ? new Error('cannot') : undefined);
    await set.harness.advance(12_000);
    expect(failures).toBeGreaterThan(1);
    expect(logs.length).toBeGreaterThan(0);
    expect(set.events.client.ends).toEqual([]);
    expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
    call.end();
  });

  test.each([
    { what: 'an error', error: () => new Error('cannot') },
    { what: 'text', error: () => 'cannot' },
    { what: 'null', error: () => null },
  ])('$what on decoding: the session ends as over any frame that is no message', async ({ error }) => {
    await using set = await setup();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open('a');
    await set.harness.settled();
    set.codecs.server.decodeError = error;
    set.harness.holdsHandshakes = true;
    call.send('b');
    await set.harness.settled();
    expect(set.events.server.ends).toEqual(['protocol_violation']);
    set.codecs.server.decodeError = undefined;
    await set.harness.advance(2_000);
    expect(call.ends).toEqual(['state_mismatch']);
    expect(set.client.findSession('SERVER')?.isConnected).toBe(true);
    await set.bystander.expectUndisturbed();
  });
});
