import { describe, expect, test, vi } from 'vitest';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { Intent } from '../../transport/intent.ts';
import type { TransportMessage } from '../../transport/message.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../transport/options.ts';
import { BarePeer, messageOf, requestOf, statusOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import { connectionOf, mute } from '../support/halfOpen.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const BEAT_MS = 1_000;
const MISSES = 2;
/** Coarse deadlines are rounded up by at most one slot of the wheel. */
const SLOT_MS = 20;
const HOUR_MS = 3_600_000;

function isBeat(message: TransportMessage): boolean {
  return message.streamId === 'heartbeat' && message.controlFlags === 1;
}

describe.each(matrix)('liveness over $name', ({ transport, codec }) => {
  async function setup(serverOptions: ServerTransportOptions = {}, clientOptions: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    const server = harness.server({ heartbeatIntervalMs: BEAT_MS, heartbeatsUntilDead: MISSES, ...serverOptions });
    const echo = new Echo(server);
    const client = harness.client(clientOptions, 'client-1');
    const events = { server: new TransportEventLog(server), client: new TransportEventLog(client) };
    const call = new Recorder(client.openSession('SERVER'), 's1');
    await harness.settled();
    const unmutes: (() => void)[] = [];
    const set = {
      harness,
      server,
      client,
      events,
      call,
      get ledgers() {
        return {
          server: server.sessions.get('client-1')?.core.ledger,
          client: client.sessions.get('SERVER')?.core.ledger,
        };
      },
      /** From now on nothing that this side says arrives. */
      mute(side: 'client' | 'server') {
        harness.losesMessages = true;
        const connection = side === 'client' ? connectionOf(client, 'SERVER') : connectionOf(server, 'client-1');
        unmutes.push(mute(connection));
      },
      /** Nobody notices anything: no transition, no end. */
      expectNothingHappened() {
        expect([...events.server.lines, ...events.client.lines]).toEqual([]);
      },
      clear() {
        events.server.clear();
        events.client.clear();
      },
      async [Symbol.asyncDispose]() {
        for (const unmute of unmutes) unmute();
        call.end();
        echo.end();
        await harness[Symbol.asyncDispose]();
      },
    };
    set.clear();
    return set;
  }

  test('on River’s wire the server beats every interval and the client answers: two messages a heartbeat, no more', async () => {
    await using set = await setup({ extensions: { compact: false } });
    const before = { server: set.ledgers.server?.nextSeq ?? 0, client: set.ledgers.client?.nextSeq ?? 0 };
    await set.harness.advance(60 * BEAT_MS);
    const beats = (set.ledgers.server?.nextSeq ?? 0) - before.server;
    const answers = (set.ledgers.client?.nextSeq ?? 0) - before.client;
    expect(beats).toBeGreaterThanOrEqual(59);
    expect(beats).toBeLessThanOrEqual(60);
    expect(answers).toBe(beats);
    expect(set.ledgers.server?.unackedCount).toBe(0);
    expect(set.ledgers.client?.unackedCount).toBeLessThanOrEqual(1);
    set.expectNothingHappened();
  });

  test.each([
    { peer: 'a River peer', extensions: undefined, intervalMs: 5_000, everyMs: 1_000 },
    { peer: 'a River peer of a fast server', extensions: undefined, intervalMs: 400, everyMs: 400 },
    { peer: 'a peer that speaks other extensions', extensions: { deadline: {} }, intervalMs: 5_000, everyMs: 1_000 },
    { peer: 'a peer that speaks heartbeat', extensions: { heartbeat: {} }, intervalMs: 5_000, everyMs: 5_000 },
  ])(
    '$peer hears a beat every $everyMs ms where the server’s interval is $intervalMs',
    async ({ extensions, intervalMs, everyMs }) => {
      await using harness = await createHarness({ transport, codec });
      harness.server({ heartbeatIntervalMs: intervalMs });
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      await peer.handshake({ extensions });
      for (let seq = 0; seq < 10; seq++) {
        await harness.advance(everyMs);
        expect(peer.messages).toHaveLength(2 + seq);
        expect(await peer.next()).toEqual({
          id: expect.any(String),
          from: 'SERVER',
          to: 'client-1',
          seq,
          ack: seq,
          streamId: 'heartbeat',
          controlFlags: 1,
          payload: { type: 'ACK' },
        });
        peer.send(messageOf({ seq, ack: seq + 1, streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } }));
        await harness.settled();
      }
      expect(peer.isClosed).toBe(false);
    },
  );

  test('the client answers every beat once and says nothing by itself', async () => {
    await using harness = await createHarness({ transport, codec });
    using server = new BareServer(harness.link, codec);
    const client = harness.client({}, 'client-1');
    client.connect('SERVER');
    const peer = await server.accepted();
    await peer.acceptHandshake({ heartbeat: { intervalMs: BEAT_MS, misses: 10 } });
    await harness.advance(9 * BEAT_MS);
    expect(peer.messages).toHaveLength(1);
    for (let seq = 0; seq < 3; seq++) {
      peer.send(
        messageOf({
          from: 'SERVER',
          to: 'client-1',
          seq,
          ack: seq,
          streamId: 'heartbeat',
          controlFlags: 1,
          payload: { type: 'ACK' },
        }),
      );
      expect(await peer.next()).toMatchObject({
        seq,
        ack: seq + 1,
        streamId: 'heartbeat',
        controlFlags: 1,
        payload: { type: 'ACK' },
      });
    }
    await harness.settled();
    expect(peer.messages).toHaveLength(4);
  });

  test('a client whose messages are lost: the server gives the connection up after its misses, and the session resumes', async () => {
    await using set = await setup();
    set.call.open('before');
    await set.harness.settled();
    set.mute('client');
    set.clear();
    set.call.send('lost');
    await set.harness.advance(MISSES * BEAT_MS - 1);
    expect(set.events.server.lines).toEqual([]);
    // One more beat may have been answered just before.
    await set.harness.advance(BEAT_MS + 1 + SLOT_MS);
    expect(set.events.server.lines[0]).toBe('NoConnection');
    set.harness.losesMessages = false;
    await set.harness.advance(1_000);
    expect(set.events.client.lines).toEqual(['NoConnection', 'BackingOff', 'Connecting', 'Handshaking', 'Connected']);
    expect(set.events.server.lines).toEqual(['NoConnection', 'Connected']);
    expect(set.call.payloads).toEqual(['before', 'lost']);
  });

  test('a server whose messages are lost: both sides give the connection up by themselves, and the session resumes', async () => {
    await using set = await setup();
    set.call.open('before');
    await set.harness.settled();
    set.mute('server');
    set.clear();
    set.call.send('answer lost');
    // The server: its beats are not answered. Its goodbye is lost, too.
    await set.harness.advance((MISSES + 1) * BEAT_MS + SLOT_MS);
    expect(set.events.server.lines).toEqual(['NoConnection']);
    expect(set.events.client.lines).toEqual([]);
    // The client: as many intervals of silence and two more.
    await set.harness.advance(2 * BEAT_MS);
    expect(set.events.client.lines[0]).toBe('NoConnection');
    set.harness.losesMessages = false;
    await set.harness.advance(1_000);
    expect(set.events.client.lines.at(-1)).toBe('Connected');
    expect(set.events.server.lines).toEqual(['NoConnection', 'Connected']);
    expect(set.call.payloads).toEqual(['before', 'answer lost']);
    expect(set.events.client.ends).toEqual([]);
  });

  test('a client hears nothing: it waits for as many intervals as the server announced and two more, not less', async () => {
    await using set = await setup({ heartbeatsUntilDead: 4 }, { heartbeatIntervalMs: 100, heartbeatsUntilDead: 1 });
    set.mute('server');
    await set.harness.advance(5 * BEAT_MS);
    expect(set.events.client.lines).toEqual([]);
    await set.harness.advance(2 * BEAT_MS + SLOT_MS);
    expect(set.events.client.lines[0]).toBe('NoConnection');
    set.harness.losesMessages = false;
    await set.harness.advance(1_000);
  });

  test('a cable pulled in the middle: both sides notice, and nothing is lost or repeated', async () => {
    await using set = await setup();
    set.call.open(0);
    await set.harness.settled();
    for (let round = 1; round <= 3; round++) {
      set.mute('client');
      set.mute('server');
      set.call.send(round);
      await set.harness.advance((MISSES + 3) * BEAT_MS + SLOT_MS);
      set.harness.losesMessages = false;
      await set.harness.advance(2_000);
      expect(set.call.payloads).toEqual(Array.from({ length: round + 1 }, (_, n) => n));
    }
    expect(set.events.client.ends).toEqual([]);
  });

  test.each([0.3, 0.6, 1, 2.5, 10, 60, 3_600, 86_400])(
    'a stall of %d intervals ends no healthy connection',
    async (intervals) => {
      await using set = await setup();
      await set.harness.advance(3 * BEAT_MS);
      await set.harness.clock.stall(intervals * BEAT_MS);
      await set.harness.advance(10 * BEAT_MS);
      set.expectNothingHappened();
    },
  );

  test('a process that stalls again and again loses no healthy connection', async () => {
    await using set = await setup();
    for (const intervals of [0.4, 0.7, 1.1, 1.9, 3, 0.51, 0.49, 5]) {
      for (let n = 0; n < 8; n++) await set.harness.clock.stall(intervals * BEAT_MS);
    }
    set.expectNothingHappened();
    await set.harness.advance(5 * BEAT_MS);
    set.expectNothingHappened();
  });

  test('what waits unread when the last miss is counted is read before the verdict, and counts as life', async () => {
    await using harness = await createHarness({ transport, codec });
    // The first tick comes after half an interval.
    harness.clock.random = () => 0;
    const server = harness.server({ heartbeatIntervalMs: BEAT_MS, heartbeatsUntilDead: MISSES });
    const events = new TransportEventLog(server);
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    await peer.handshake({ extensions: { heartbeat: {} } });
    events.clear();
    await harness.advance(2.2 * BEAT_MS);
    for (let seq = 0; seq < 4; seq++) {
      // One beat is unanswered; the next tick finds the answer unread, because the process stalls for a moment.
      peer.send(messageOf({ seq, streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } }));
      await harness.clock.stallAtOnce(0.4 * BEAT_MS);
      expect(events.lines).toEqual([]);
      await harness.advance(2.6 * BEAT_MS);
    }
    // The peer falls silent at last.
    await harness.advance(BEAT_MS);
    expect(events.lines).toEqual(['NoConnection']);
  });

  test('ticks that come late count nothing, and those that come in time still do', async () => {
    await using set = await setup();
    await set.harness.advance(3 * BEAT_MS);
    set.mute('client');
    for (let n = 0; n < 20; n++) await set.harness.clock.stall(1.8 * BEAT_MS);
    expect(set.events.server.lines).toEqual([]);
    await set.harness.advance((MISSES + 1) * BEAT_MS + SLOT_MS);
    expect(set.events.server.lines[0]).toBe('NoConnection');
    set.harness.losesMessages = false;
    await set.harness.advance(2_000);
  });
});

describe.each(matrix)('the grace period over $name', ({ transport, codec }) => {
  const GRACE_MS = 30_000;

  test('is one deadline from the moment the connection was lost, however often the client retries', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const client = harness.client({}, 'client-1');
    const events = new TransportEventLog(client);
    client.connect('SERVER');
    await harness.settled();
    harness.link.setReachable(false);
    harness.link.cut();
    await harness.settled();
    events.clear();
    await harness.advance(GRACE_MS - 1);
    expect(events.ends).toEqual([]);
    expect(events.lines.filter((line) => line === 'Connecting').length).toBeGreaterThan(4);
    await harness.advance(1 + SLOT_MS);
    expect(events.ends).toEqual(['grace_elapsed']);
    expect(server.sessions.size).toBe(0);
  });

  test('is not prolonged by handshakes that are never answered', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    using server = new BareServer(harness.link, codec);
    const client = harness.client({}, 'client-1');
    const events = new TransportEventLog(client);
    client.connect('SERVER');
    const peer = await server.accepted();
    await peer.acceptHandshake({ heartbeat: { intervalMs: 60_000, misses: 2 } });
    await harness.settled();
    peer.close();
    await harness.settled();
    await harness.advance(GRACE_MS - 1);
    expect(events.ends).toEqual([]);
    expect(server.peers.length).toBeGreaterThan(3);
    await harness.advance(1 + SLOT_MS);
    expect(events.ends).toEqual(['grace_elapsed']);
  });

  test('begins anew after every resume', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const client = harness.client({}, 'client-1');
    const events = new TransportEventLog(client);
    const { id } = client.openSession('SERVER');
    await harness.settled();
    for (let n = 0; n < 4; n++) {
      harness.link.setReachable(false);
      harness.link.cut();
      await harness.advance(0.8 * GRACE_MS);
      harness.link.setReachable(true);
      client.endBackoff();
      await harness.advance(6_000);
      expect(server.sessions.get('client-1')?.state).toBe('Connected');
    }
    expect(client.findSession('SERVER')?.id).toBe(id);
    expect(events.ends).toEqual([]);
  });

  test('that ended while the server stalled is judged after what has arrived was read', async () => {
    for (const stallMs of [GRACE_MS + 500, 4 * GRACE_MS]) {
      await using harness = await createHarness({ transport, codec });
      const server = harness.server();
      const events = new TransportEventLog(server);
      using first = new BarePeer(await harness.link.dial('SERVER'), codec);
      await first.handshake();
      first.close();
      await harness.settled();
      using second = new BarePeer(await harness.link.dial('SERVER'), codec);
      second.send(requestOf());
      await harness.clock.stallAtOnce(stallMs);
      expect(statusOf(await second.next())).toMatchObject({ ok: true });
      await harness.advance(100);
      expect(events.ends).toEqual([]);
      expect(server.sessions.get('client-1')?.state).toBe('Connected');
    }
  });

  test('that ended while the server stalled still ends: within one handshake’s time', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    await peer.handshake();
    peer.close();
    await harness.clock.stall(10 * GRACE_MS);
    await harness.advance(5_000 + SLOT_MS);
    expect(server.sessions.size).toBe(0);
  });
});

describe.each(matrix)('acknowledgements over $name', ({ transport, codec }) => {
  /** No heartbeat interferes. */
  const quiet = { heartbeatIntervalMs: 600_000, sessionDisconnectGraceMs: HOUR_MS };

  test('bound by traffic what a client keeps, without any heartbeat', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ ...quiet, ackAfterMessages: 10 });
    server.bindOpener({ onUnclaimedMessage: () => undefined, onSessionEnded: () => undefined });
    const client = harness.client(quiet, 'client-1');
    const port = client.openSession('SERVER');
    await harness.settled();
    let most = 0;
    for (let n = 0; n < 200; n++) {
      port.send({ streamId: 's1', controlFlags: n === 0 ? 2 : 0, payload: n });
      await harness.settled();
      most = Math.max(most, client.sessions.get('SERVER')?.core.ledger.unackedCount ?? 0);
    }
    // The client's answers to explicit acks are unconfirmed messages, too: at most one for each ten.
    expect(most).toBeLessThanOrEqual(12);
    expect(server.sessions.get('client-1')?.core.ledger.nextSeq).toBeLessThanOrEqual(20);
  });

  test('bound by traffic what a server keeps', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server(quiet);
    const client = harness.client({ ...quiet, ackAfterMessages: 10 }, 'client-1');
    client.connect('SERVER');
    await harness.settled();
    const core = server.sessions.get('client-1')?.core;
    let most = 0;
    for (let n = 0; n < 200; n++) {
      core?.send({ streamId: 's1', controlFlags: 0, payload: n });
      await harness.settled();
      most = Math.max(most, core?.ledger.unackedCount ?? 0);
    }
    expect(most).toBeLessThanOrEqual(10);
    expect(client.sessions.get('SERVER')?.core.ledger.nextSeq).toBeLessThanOrEqual(20);
  });

  test('come after so many bytes, too', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ ...quiet, ackAfterBytes: 10_000 });
    server.bindOpener({ onUnclaimedMessage: () => undefined, onSessionEnded: () => undefined });
    const client = harness.client(quiet, 'client-1');
    const port = client.openSession('SERVER');
    await harness.settled();
    const ledger = client.sessions.get('SERVER')?.core.ledger;
    port.send({ streamId: 's1', controlFlags: 2, payload: 'x'.repeat(9_000) });
    await harness.settled();
    expect(ledger?.oldestUnackedSeq).toBe(0);
    port.send({ streamId: 's1', controlFlags: 0, payload: 'x'.repeat(9_000) });
    await harness.settled();
    expect(ledger?.oldestUnackedSeq).toBe(2);
  });

  test('ride on messages: who answers anyway sends none of its own', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ ...quiet, ackAfterMessages: 5 });
    const echo = new Echo(server);
    const client = harness.client({ ...quiet, ackAfterMessages: 5 }, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open(0);
    for (let n = 1; n < 100; n++) {
      call.send(n);
      await harness.settled();
    }
    expect(server.sessions.get('client-1')?.core.ledger.nextSeq).toBe(100);
    expect(client.sessions.get('SERVER')?.core.ledger.nextSeq).toBe(100);
    call.end();
    echo.end();
  });

  test('are not answered without end', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server({ ...quiet, ackAfterMessages: 1, ackAfterBytes: 1 }).bindOpener({
      onUnclaimedMessage: () => undefined,
      onSessionEnded: () => undefined,
    });
    const client = harness.client({ ...quiet, ackAfterMessages: 1, ackAfterBytes: 1 }, 'client-1');
    const port = client.openSession('SERVER');
    await harness.settled();
    for (let n = 0; n < 10; n++) port.send({ streamId: 's1', controlFlags: n === 0 ? 2 : 0, payload: n });
    await harness.advance(1_000);
    // Ten messages, ten acks, ten answers to them.
    expect(client.sessions.get('SERVER')?.core.ledger.nextSeq).toBeLessThanOrEqual(20);
  });

  test('of a bare beat are at once, and carry what was received', async () => {
    await using harness = await createHarness({ transport, codec });
    using server = new BareServer(harness.link, codec);
    const client = harness.client({ heartbeatIntervalMs: 60_000 }, 'client-1');
    client.connect('SERVER');
    const peer = await server.accepted();
    await peer.acceptHandshake({});
    for (let seq = 0; seq < 5; seq++) peer.send(messageOf({ from: 'SERVER', to: 'client-1', seq, payload: seq }));
    peer.send(
      messageOf({
        from: 'SERVER',
        to: 'client-1',
        seq: 5,
        streamId: 'heartbeat',
        controlFlags: 1,
        payload: { type: 'ACK' },
      }),
    );
    const answer = await peer.next();
    expect(isBeat(answer)).toBe(true);
    expect(answer).toMatchObject({ seq: 0, ack: 6 });
  });
});

describe.each(matrix)('dialling over $name', ({ transport, codec }) => {
  /** A client that cannot reach anybody, and when it dials. */
  async function setup(options: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.clock.random = () => 0;
    const server = harness.server();
    harness.link.setReachable(false);
    const client = harness.client({ sessionDisconnectGraceMs: 100 * HOUR_MS, ...options }, 'client-1');
    const events = new TransportEventLog(client);
    const dials: number[] = [];
    const startedAt = harness.clock.now();
    client.addEventListener('sessionTransition', ({ state }) => {
      if (state === 'Connecting') dials.push(harness.clock.now() - startedAt);
    });
    return {
      harness,
      server,
      client,
      events,
      dials,
      /** Milliseconds between one dial and the next. */
      get waits() {
        return dials.slice(1).map((at, n) => at - (dials[n] ?? 0));
      },
      [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
    };
  }

  test('backs off further with every failure, up to its ceiling, and never stops', async () => {
    await using set = await setup({ baseIntervalMs: 100, maxBackoffMs: 1_500 });
    set.client.connect('SERVER');
    await set.harness.advance(10_000);
    expect(set.waits).toEqual([100, 200, 400, 800, 1_500, 1_500, 1_500, 1_500, 1_500]);
    await set.harness.advance(HOUR_MS / 4);
    expect(set.waits.at(-1)).toBe(1_500);
    expect(set.events.errors).toEqual([]);
  });

  test('adds a random part to every wait', async () => {
    await using set = await setup({ baseIntervalMs: 100, maxJitterMs: 50, maxBackoffMs: 400 });
    const values = [0.2, 0.4, 0.6, 0.8];
    set.harness.clock.random = () => values.shift() ?? 0;
    set.client.connect('SERVER');
    await set.harness.advance(1_200);
    expect(set.waits.map(Math.round)).toEqual([110, 220, 430, 440]);
  });

  test('gives up where the attempt budget is used up, says so once, and starts over when it is asked to', async () => {
    await using set = await setup({ baseIntervalMs: 100, attemptBudgetCapacity: 3 });
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    await set.harness.advance(HOUR_MS);
    expect(set.dials).toHaveLength(3);
    expect(call.ends).toEqual(['retries_exceeded']);
    expect(set.events.errors.map(({ type }) => type)).toEqual(['conn_retry_exceeded']);
    set.harness.link.setReachable(true);
    set.client.connect('SERVER');
    await set.harness.advance(1_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    expect(call.ends).toHaveLength(1);
  });

  test('gives up at once on an error that no further dial can mend', async () => {
    const seen: unknown[] = [];
    await using set = await setup({
      isFatalConnectionError: (error) => {
        seen.push(error);
        return seen.length === 2;
      },
    });
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    await set.harness.advance(HOUR_MS);
    expect(set.dials).toHaveLength(2);
    expect(seen.every((error) => error instanceof Error)).toBe(true);
    expect(call.ends).toEqual(['retries_exceeded']);
    expect(set.client.sessions.size).toBe(0);
    set.client.connect('SERVER');
    await set.harness.settled();
    expect(set.dials.length).toBeGreaterThan(2);
  });

  test('goes on where isFatalConnectionError throws', async () => {
    await using set = await setup({
      isFatalConnectionError: () => {
        throw new Error('mine');
      },
    });
    set.client.connect('SERVER');
    await set.harness.advance(10_000);
    expect(set.dials.length).toBeGreaterThan(3);
  });

  test('ends a backoff early when told that the network is back', async () => {
    await using set = await setup({ baseIntervalMs: 10_000 });
    set.client.connect('SERVER');
    await set.harness.advance(50_000);
    const { length } = set.dials;
    set.harness.link.setReachable(true);
    set.client.endBackoff();
    await set.harness.settled();
    expect(set.dials).toHaveLength(length + 1);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    set.client.endBackoff();
    await set.harness.settled();
    expect(set.dials).toHaveLength(length + 1);
  });

  test('ends a backoff early also where no session waits for it', async () => {
    await using set = await setup({ baseIntervalMs: 30_000, sessionDisconnectGraceMs: 10_000 });
    set.client.connect('SERVER');
    // The session is over, and the dial for the next one is not due yet.
    await set.harness.advance(20_000);
    expect(set.client.sessions.size).toBe(0);
    expect(set.dials).toHaveLength(1);
    set.harness.link.setReachable(true);
    set.client.endBackoff();
    await set.harness.settled();
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    expect(set.dials).toHaveLength(2);
    await set.harness.advance(60_000);
    expect(set.dials).toHaveLength(2);
  });

  test('starts over with short waits only after a connection has held for one heartbeat interval', async () => {
    await using set = await setup({ baseIntervalMs: 1_000, maxJitterMs: 0 });
    set.client.connect('SERVER');
    await set.harness.advance(7_000);
    expect(set.waits).toEqual([1_000, 2_000, 4_000]);
    set.harness.link.setReachable(true);
    await set.harness.advance(8_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    // It did not hold: the failures before it still count.
    await set.harness.advance(4_900);
    closeAllConnections(set.client);
    await set.harness.advance(7_900);
    expect(set.client.sessions.get('SERVER')?.state).toBe('BackingOff');
    await set.harness.advance(30_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    // It held: one jitter, which is nothing here, and what failed before is forgotten.
    set.dials.length = 0;
    set.harness.link.setReachable(false);
    closeAllConnections(set.client);
    await set.harness.advance(7_000);
    expect(set.waits).toEqual([1_000, 2_000, 4_000]);
    set.harness.link.setReachable(true);
    await set.harness.advance(8_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
  });

  test('does not sleep through what is left of the grace period', async () => {
    await using set = await setup({ baseIntervalMs: 1_000, maxJitterMs: 0, sessionDisconnectGraceMs: 30_000 });
    set.harness.link.setReachable(true);
    const { id } = set.client.openSession('SERVER');
    await set.harness.advance(10_000);
    set.harness.link.setReachable(false);
    set.harness.link.cut();
    // By the backoff alone the next dial would come after the end of the session.
    await set.harness.advance(16_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('BackingOff');
    set.harness.link.setReachable(true);
    await set.harness.advance(13_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    expect(set.client.findSession('SERVER')?.id).toBe(id);
  });

  test('a server that accepts and drops is not dialled in a loop', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    using server = new BareServer(harness.link, codec);
    const client = harness.client({ baseIntervalMs: 100, maxBackoffMs: 3_200 }, 'client-1');
    client.connect('SERVER');
    void (async () => {
      for (;;) {
        const peer = await server.accepted();
        // A client that has left before it was answered is not what is counted here.
        await peer.acceptHandshake().catch(() => undefined);
        peer.close();
      }
    })();
    await harness.advance(20_000);
    expect(server.peers.length).toBeGreaterThan(5);
    expect(server.peers.length).toBeLessThan(20);
  });

  /** The server's messages of a session are beats and nothing else. */
  const beat = (seq: number) =>
    messageOf({
      from: 'SERVER',
      to: 'client-1',
      seq,
      streamId: 'heartbeat',
      controlFlags: 1,
      payload: { type: 'ACK' },
    });

  test.each([0, 1])('nor is one that accepts, says %i messages and falls silent', async (count) => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    using server = new BareServer(harness.link, codec);
    const backoff = { baseIntervalMs: 1_000, maxJitterMs: 0, maxBackoffMs: 320_000 };
    const client = harness.client({ ...backoff, sessionDisconnectGraceMs: HOUR_MS }, 'client-1');
    client.connect('SERVER');
    void (async () => {
      for (;;) {
        const peer = await server.accepted();
        await peer.acceptHandshake({ heartbeat: { intervalMs: BEAT_MS, misses: MISSES } }).catch(() => undefined);
        for (let n = 0; n < count; n++) peer.send(beat(n));
      }
    })();
    // The waits before the tenth dial are 511 seconds, and before each of the others lies a silence of some five.
    await harness.advance(565_000);
    expect(server.peers.length).toBeGreaterThan(8);
    expect(server.peers.length).toBeLessThan(12);
  });

  test.each([
    { heardAfter: 0.9, isBelievedIn: false },
    { heardAfter: 1.5, isBelievedIn: true },
  ])(
    'what is heard after $heardAfter heartbeat intervals decides: $isBelievedIn',
    async ({ heardAfter, isBelievedIn }) => {
      await using harness = await createHarness({ transport, codec });
      harness.holdsHandshakes = true;
      using server = new BareServer(harness.link, codec);
      const client = harness.client({ baseIntervalMs: 1_000, maxJitterMs: 0 }, 'client-1');
      client.connect('SERVER');
      const heartbeat = { intervalMs: BEAT_MS, misses: 10 };
      const dropping = await server.accepted();
      await dropping.acceptHandshake({ heartbeat });
      dropping.close();
      await harness.advance(1_000 + SLOT_MS);
      const peer = await server.accepted();
      await peer.acceptHandshake({ heartbeat });
      await harness.advance(heardAfter * BEAT_MS);
      const settled = vi.spyOn(Intent.prototype, 'settled');
      for (const seq of [0, 1]) {
        peer.send(beat(seq));
        await harness.settled();
      }
      expect(settled).toHaveBeenCalledTimes(isBelievedIn ? 1 : 0);
      settled.mockRestore();
      await harness.advance((1.7 - heardAfter) * BEAT_MS);
      expect(server.peers).toHaveLength(2);
      peer.close();
      await harness.settled();
      await harness.advance(SLOT_MS);
      expect(server.peers).toHaveLength(isBelievedIn ? 3 : 2);
      await harness.advance(2_000);
      expect(server.peers).toHaveLength(3);
    },
  );

  test('a frame that is no message is not believed in', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    using server = new BareServer(harness.link, codec);
    const client = harness.client({ baseIntervalMs: 1_000, maxJitterMs: 0 }, 'client-1');
    client.connect('SERVER');
    const heartbeat = { intervalMs: BEAT_MS, misses: 10 };
    const dropping = await server.accepted();
    await dropping.acceptHandshake({ heartbeat });
    dropping.close();
    await harness.advance(1_000 + SLOT_MS);
    const liar = await server.accepted();
    await liar.acceptHandshake({ heartbeat });
    await harness.advance(1.5 * BEAT_MS);
    liar.sendBytes(Uint8Array.of(255));
    await harness.settled();
    // The second failure: had the frame reset the backoff, it would be the first, and the wait one second.
    await harness.advance(1_900);
    expect(server.peers).toHaveLength(2);
    await harness.advance(200);
    expect(server.peers).toHaveLength(3);
  });

  test('an hour offline costs the session and not the intent: a new one is made when the network is back', async () => {
    await using set = await setup({ sessionDisconnectGraceMs: 30_000, maxBackoffMs: 32_000 });
    set.harness.link.setReachable(true);
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    await set.harness.advance(10_000);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    set.harness.link.setReachable(false);
    set.harness.link.cut();
    await set.harness.advance(HOUR_MS);
    expect(call.ends).toEqual(['grace_elapsed']);
    const dialsOffline = set.dials.length;
    // It went on trying, and not like mad.
    expect(dialsOffline).toBeGreaterThan(100);
    expect(dialsOffline).toBeLessThan(600);
    set.harness.link.setReachable(true);
    await set.harness.advance(32_200);
    expect(set.client.sessions.get('SERVER')?.state).toBe('Connected');
    expect(set.client.findSession('SERVER')?.id).not.toBe(call.port.id);
    expect(call.ends).toHaveLength(1);
    expect(set.server.sessions.size).toBe(1);
  });
});
