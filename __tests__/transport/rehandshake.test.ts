import { describe, expect, test } from 'vitest';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { HandshakePeer } from '../../transport/handshake.ts';
import { rehandshakeResponse } from '../../transport/message.ts';
import type { ServerTransportOptions } from '../../transport/options.ts';
import { Rehandshakes } from '../../transport/rehandshakes.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const DAY_MS = 24 * 3_600_000;
const HANDSHAKE_MS = 5_000;
const TEN_MINUTES_MS = 600_000;

/** What the clients of these tests show: who they are, and until when (milliseconds since the epoch). */
interface Token {
  user: string;
  until?: number | undefined;
  n: number;
}

test('that fresh metadata were asked for is remembered for as long as a handshake may be judged, and no longer', () => {
  let now = 1_000;
  const unused = () => {
    throw new Error('expected nothing else to be asked');
  };
  const transport = { handshake: unused, wallNow: unused, log: unused, post: unused, expire: unused, now: () => now };
  const rehandshakes = new Rehandshakes(transport);
  rehandshakes.requested('first');
  now += TEN_MINUTES_MS - 1;
  rehandshakes.requested('second');
  expect(['first', 'second', 'third'].map((id) => rehandshakes.wasRequestedSince(id))).toEqual([true, true, false]);
  expect([1_000, 1_001].map((time) => rehandshakes.wasRequestedSince('first', time))).toEqual([true, false]);
  now += 1;
  rehandshakes.requested('second');
  expect(['first', 'second'].map((id) => rehandshakes.wasRequestedSince(id))).toEqual([false, true]);
});

describe.each(matrix)('a re-handshake over $name', ({ transport, codec }) => {
  async function setup(options: ServerTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    const server = harness.server(options);
    const echo = new Echo(server);
    const events = new TransportEventLog(server);
    const client = harness.client({ heartbeatIntervalMs: options.heartbeatIntervalMs }, 'client-1');
    const clientEvents = new TransportEventLog(client);
    let made = 0;
    const set = {
      harness,
      server,
      echo,
      events,
      client,
      clientEvents,
      /** When each validation was asked for, and why. */
      asked: [] as { at: number; reason: HandshakePeer['reason']; previous: object | undefined; n: number }[],
      startedAt: harness.clock.now(),
      until: undefined as number | Date | undefined,
      validate: (metadata: unknown): unknown => metadata,
      construct: (): unknown => ({ user: 'alice', n: ++made }),
      get session() {
        return server.sessions.get('client-1');
      },
      async [Symbol.asyncDispose]() {
        echo.end();
        await harness[Symbol.asyncDispose]();
      },
    };
    server.setHandshake({
      checkMetadata: (metadata) => (metadata === 'malformed' ? 'expected a token' : undefined),
      validate: (metadata, previous, _from, { reason }) => {
        const { n } = metadata as Token;
        set.asked.push({ at: harness.clock.now() - set.startedAt, reason, previous, n });
        return set.validate(metadata);
      },
      principal: (metadata) => (metadata as Token).user,
      expiry: () => set.until,
    });
    client.setHandshake({ construct: () => set.construct() });
    client.connect('SERVER');
    return set;
  }

  test('is asked for a few times, and not in a loop, where the client has no fresher credential', async () => {
    await using set = await setup();
    set.until = set.harness.clock.wallNow() + 8_000;
    await set.harness.settled();
    await set.harness.advance(20_000);
    const again = set.asked.filter(({ reason }) => reason === 'rehandshake').map(({ at }) => at);
    expect(again.length).toBeGreaterThan(2);
    expect(again.length).toBeLessThan(15);
    expect(again[0]).toBeGreaterThanOrEqual(4_000);
    expect(again[0]).toBeLessThan(4_100);
  });

  test('comes at half of the time of a credential that lasts no longer than a handshake may take', async () => {
    await using set = await setup();
    set.validate = (metadata) => {
      set.until = set.harness.clock.wallNow() + HANDSHAKE_MS;
      return metadata;
    };
    await set.harness.settled();
    await set.harness.advance(60_000);
    expect(set.session?.state).toBe('Connected');
    expect(set.asked.length).toBeGreaterThan(20);
    expect(set.asked.length).toBeLessThan(27);
  });

  test('is judged once, however often it is answered', async () => {
    await using set = await setup();
    await set.harness.settled();
    let accept: (value: unknown) => void = () => undefined;
    set.validate = () => new Promise((resolve) => (accept = resolve));
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    const session = set.client.openSession('SERVER');
    for (let n = 100; n < 105; n++) session.send(rehandshakeResponse({ user: 'alice', n }));
    await set.harness.settled();
    expect(set.asked.length).toBe(2);
    accept({ user: 'alice', n: 2 });
    await set.harness.settled();
    expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 2 });
  });

  test('that the server asks for replaces the metadata of the live session, and nothing else happens', async () => {
    await using set = await setup();
    await set.harness.settled();
    const { id } = set.client.openSession('SERVER');
    set.events.clear();
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    expect(set.asked.map(({ reason, n, previous }) => [reason, n, previous])).toEqual([
      ['connect', 1, undefined],
      ['rehandshake', 2, { user: 'alice', n: 1 }],
    ]);
    expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 2 });
    expect(set.session?.id).toBe(id);
    await set.harness.advance(60_000);
    expect(set.events.lines).toEqual([]);
    expect(set.asked).toHaveLength(2);
  });

  test('of a client that is unknown, or away, asks nobody', async () => {
    await using set = await setup();
    await set.harness.settled();
    set.server.requestRehandshake('client-9');
    set.harness.link.setReachable(false);
    closeAllConnections(set.client);
    await set.harness.settled();
    set.server.requestRehandshake('client-1');
    await set.harness.advance(10_000);
    expect(set.asked).toHaveLength(1);
    expect(set.session?.state).toBe('NoConnection');
  });

  test('holds up no message in the meantime', async () => {
    await using set = await setup();
    const waiting: (() => void)[] = [];
    set.construct = () => new Promise((resolve) => waiting.push(() => resolve({ user: 'alice', n: 7 })));
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    set.harness.holdsHandshakes = true;
    await set.harness.settled();
    waiting.shift()?.();
    set.harness.holdsHandshakes = false;
    await set.harness.settled();
    set.server.requestRehandshake('client-1');
    call.open('during');
    await set.harness.settled();
    expect(call.payloads).toEqual(['during']);
    waiting.shift()?.();
    await set.harness.settled();
    expect(set.asked).toHaveLength(2);
    call.end();
  });

  test('comes by itself one handshake’s time before the credential ends, and again for the next one', async () => {
    await using set = await setup();
    const { clock } = set.harness;
    set.until = clock.wallNow() + 60_000;
    await set.harness.settled();
    await set.harness.advance(60_000 - HANDSHAKE_MS - 1);
    expect(set.asked).toHaveLength(1);
    set.until = clock.wallNow() + 100_000;
    await set.harness.advance(21);
    expect(set.asked).toHaveLength(2);
    expect(set.asked[1]).toMatchObject({ reason: 'rehandshake' });
    set.until = undefined;
    await set.harness.advance(99_000);
    expect(set.asked).toHaveLength(3);
    await set.harness.advance(600_000);
    expect(set.asked).toHaveLength(3);
    expect(set.events.ends).toEqual([]);
  });

  test.each([
    { life: '30 days', until: 30 * DAY_MS },
    { life: '24.9 days, just more than a timer takes', until: 2 ** 31 + 60_000 },
  ])('for a credential of $life comes when it should', async ({ until }) => {
    await using set = await setup({ heartbeatIntervalMs: DAY_MS / 2 });
    set.until = new Date(set.harness.clock.wallNow() + until);
    await set.harness.settled();
    await set.harness.advance(until - HANDSHAKE_MS - 1);
    expect(set.asked).toHaveLength(1);
    set.until = undefined;
    await set.harness.advance(21);
    expect(set.asked).toHaveLength(2);
    expect(set.events.ends).toEqual([]);
  });

  test.each([
    { life: 'until the year 9999', until: new Date('9999-12-31') },
    { life: 'as long as a Date lasts', until: new Date(8.64e15) },
    { life: 'for ever', until: Number.POSITIVE_INFINITY },
    { life: 'a number larger than any date', until: Number.MAX_VALUE },
  ])('for a credential valid $life does not come', async ({ until }) => {
    await using set = await setup();
    set.until = until;
    await set.harness.settled();
    await set.harness.advance(600_000);
    expect(set.asked).toHaveLength(1);
    expect(set.session?.state).toBe('Connected');
  });

  test.each([
    { when: 'an hour ago', ms: -3_600_000 },
    { when: 'now', ms: 0 },
    { when: 'before time began', ms: Number.NEGATIVE_INFINITY },
  ])('does not save a credential that ended $when: whoever shows it is turned away, once', async ({ ms }) => {
    await using set = await setup();
    set.harness.holdsHandshakes = true;
    set.until = set.harness.clock.wallNow() + ms;
    set.validate = (metadata) => {
      // Asked over and over again at wire speed, this test would not end.
      if (set.asked.length > 20) set.until = undefined;
      return metadata;
    };
    await set.harness.advance(100);
    expect(set.asked.length).toBeLessThanOrEqual(2);
    expect(set.events.codes).toEqual(['REJECTED_BY_CUSTOM_HANDLER']);
    expect(set.session).toBeUndefined();
    set.until = undefined;
    set.client.connect('SERVER');
    await set.harness.advance(1_000);
    expect(set.session?.state).toBe('Connected');
  });

  test('begins at once where the credential ends within a handshake’s time, and must be done before its end', async () => {
    await using set = await setup();
    set.until = set.harness.clock.wallNow() + 2_000;
    set.construct = () => (set.asked.length === 0 ? { user: 'alice', n: 1 } : new Promise(() => undefined));
    await set.harness.settled();
    await set.harness.advance(1_950);
    expect(set.events.ends).toEqual([]);
    set.harness.holdsHandshakes = true;
    await set.harness.advance(70);
    expect(set.events.ends).toEqual(['expired']);
  });

  test('is refused where the validator’s expiry is no date', async () => {
    await using set = await setup();
    set.until = new Date('never');
    await set.harness.settled();
    expect(set.events.codes).toEqual(['REJECTED_BY_CUSTOM_HANDLER']);
    expect(set.clientEvents.ends).toEqual(['handshake_rejected']);
    expect(set.server.sessions.size).toBe(0);
  });

  test('that is not answered in time ends the session, on both sides', async () => {
    await using set = await setup();
    await set.harness.settled();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open({});
    await set.harness.settled();
    set.construct = () => new Promise(() => undefined);
    set.server.requestRehandshake('client-1');
    await set.harness.advance(HANDSHAKE_MS - 1);
    expect(set.events.ends).toEqual([]);
    set.harness.holdsHandshakes = true;
    await set.harness.advance(21);
    expect(set.events.ends).toEqual(['expired']);
    expect(set.events.codes).toEqual(['REJECTED_BY_CUSTOM_HANDLER']);
    expect(set.echo.ends).toEqual(['expired']);
    set.construct = () => ({ user: 'alice', n: 9 });
    // The client asks for its session, which is gone.
    await set.harness.advance(11_000);
    set.harness.holdsHandshakes = false;
    await set.harness.settled();
    expect(call.ends).toEqual(['state_mismatch']);
    expect(set.session?.state).toBe('Connected');
  });

  test('is asked for twice, and one answer is enough', async () => {
    await using set = await setup();
    await set.harness.settled();
    set.server.requestRehandshake('client-1');
    set.server.requestRehandshake('client-1');
    await set.harness.advance(60_000);
    expect(set.events.ends).toEqual([]);
    expect(set.session?.core.metadata).toMatchObject({ user: 'alice' });
  });

  test.each([
    { what: 'a refused credential', answer: { user: 'alice', n: 2 }, verdict: () => 'REJECTED_BY_CUSTOM_HANDLER' },
    { what: 'metadata of the wrong shape', answer: 'malformed', verdict: () => ({ user: 'alice', n: 2 }) },
    { what: 'another principal', answer: { user: 'mallory', n: 2 }, verdict: (metadata: unknown) => metadata },
  ])('that brings $what ends the session', async ({ answer, verdict }) => {
    await using set = await setup();
    await set.harness.settled();
    set.construct = () => answer;
    set.validate = verdict;
    set.harness.holdsHandshakes = true;
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    expect(set.events.ends).toEqual(['expired']);
    expect(set.events.lines).toContain('error handshake_failed REJECTED_BY_CUSTOM_HANDLER');
  });

  test('whose validator fails is tried again, until the credential ends or the time is over', async () => {
    for (const outageMs of [3_000, 60_000]) {
      await using set = await setup();
      await set.harness.settled();
      const isDown = () => set.harness.clock.now() - set.startedAt < outageMs;
      set.validate = (metadata) => (isDown() ? Promise.reject(new Error('down')) : metadata);
      set.server.requestRehandshake('client-1');
      await set.harness.advance(HANDSHAKE_MS + 100);
      if (outageMs > HANDSHAKE_MS) {
        expect(set.events.ends).toEqual(['expired']);
      } else {
        expect(set.events.ends).toEqual([]);
        expect(set.session?.core.metadata).toMatchObject({ n: set.asked.length });
        expect(set.asked.length).toBeGreaterThan(2);
        const { length } = set.asked;
        await set.harness.advance(60_000);
        expect(set.asked).toHaveLength(length);
      }
    }
  });

  test('whose validator failed is not asked for once more when somebody has asked meanwhile', async () => {
    await using set = await setup();
    await set.harness.settled();
    set.validate = () => Promise.reject(new Error('down'));
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    set.validate = (metadata) => metadata;
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    expect(set.asked).toHaveLength(3);
    await set.harness.advance(3_000);
    expect(set.asked).toHaveLength(3);
  });

  test('that is asked for while an answer is being judged is asked for again after that, and once', async () => {
    await using set = await setup();
    await set.harness.settled();
    const verdicts: (() => void)[] = [];
    set.validate = (metadata) => new Promise((resolve) => verdicts.push(() => resolve(metadata)));
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    // What is known from now on, the first verdict may not know.
    set.server.requestRehandshake('client-1');
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    expect(verdicts).toHaveLength(1);
    verdicts[0]?.();
    await set.harness.settled();
    expect(verdicts).toHaveLength(2);
    verdicts[1]?.();
    await set.harness.advance(60_000);
    expect(verdicts).toHaveLength(2);
    expect(set.session?.core.metadata).toMatchObject({ n: 3 });
    expect(set.events.ends).toEqual([]);
  });

  test('that is asked for while a handshake is being judged is asked for after that', async () => {
    await using set = await setup();
    set.harness.holdsHandshakes = true;
    const verdicts: (() => void)[] = [];
    set.validate = (metadata) => new Promise((resolve) => verdicts.push(() => resolve(metadata)));
    await set.harness.settled();
    for (const handshakes of [1, 3]) {
      expect(verdicts).toHaveLength(handshakes);
      set.server.requestRehandshake('client-1');
      verdicts[handshakes - 1]?.();
      await set.harness.settled();
      expect(verdicts).toHaveLength(handshakes + 1);
      verdicts[handshakes]?.();
      await set.harness.settled();
      closeAllConnections(set.client);
      await set.harness.advance(1);
      set.client.endBackoff();
      await set.harness.settled();
    }
    // Nobody has asked since: a handshake is enough.
    expect(verdicts).toHaveLength(5);
    verdicts[4]?.();
    await set.harness.settled();
    await set.harness.advance(60_000);
    expect(verdicts).toHaveLength(5);
    expect(set.events.ends).toEqual([]);
  });

  test.each([
    {
      how: 'throws',
      construct: () => {
        throw new Error('no token');
      },
    },
    { how: 'rejects', construct: () => Promise.reject(new Error('no token')) },
    { how: 'cannot be encoded', construct: () => ({ token: () => undefined }) },
  ])('whose metadata $how is not answered: the client says so in its log, and lives', async ({ construct }) => {
    await using set = await setup();
    await set.harness.settled();
    const logged: string[] = [];
    set.client.bindLogger((message) => logged.push(message), 'error');
    set.construct = construct;
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    expect(logged).toHaveLength(1);
    expect(set.asked).toHaveLength(1);
    expect(set.events.ends).toEqual([]);
  });

  test('that a reconnect has overtaken is settled by the reconnect', async () => {
    await using set = await setup();
    await set.harness.settled();
    const answers: ((token: Token) => void)[] = [];
    set.construct = () => new Promise((resolve) => answers.push(resolve));
    set.server.requestRehandshake('client-1');
    await set.harness.settled();
    closeAllConnections(set.client);
    set.harness.holdsHandshakes = true;
    await set.harness.advance(400);
    // The first answer is the re-handshake's, the second the reconnect's.
    expect(answers).toHaveLength(2);
    answers[1]?.({ user: 'alice', n: 20 });
    await set.harness.settled();
    set.harness.holdsHandshakes = false;
    expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 20 });
    answers[0]?.({ user: 'alice', n: 10 });
    await set.harness.settled();
    expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 20 });
    await set.harness.advance(60_000);
    expect(set.events.ends).toEqual([]);
    expect(set.asked.map(({ reason }) => reason)).toEqual(['connect', 'reconnect']);
  });

  test('whose verdict a reconnect has overtaken neither ends the session nor takes its newer metadata', async () => {
    for (const late of ['REJECTED_BY_CUSTOM_HANDLER', { user: 'alice', n: 10 }]) {
      await using set = await setup();
      await set.harness.settled();
      const failures: string[] = [];
      set.server.bindLogger((message) => failures.push(message), 'error');
      const verdicts: ((verdict: unknown) => void)[] = [];
      set.validate = () => new Promise((resolve) => verdicts.push(resolve));
      set.server.requestRehandshake('client-1');
      await set.harness.settled();
      expect(verdicts).toHaveLength(1);
      set.validate = () => ({ user: 'alice', n: 20 });
      closeAllConnections(set.client);
      await set.harness.advance(400);
      expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 20 });
      verdicts[0]?.(late);
      await set.harness.settled();
      expect(failures).toEqual([]);
      expect(set.events.ends).toEqual([]);
      expect(set.session?.core.metadata).toEqual({ user: 'alice', n: 20 });
    }
  });

  test('that nobody asked for is ignored', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server();
    const events = new TransportEventLog(server);
    let asked = 0;
    server.setHandshake({ checkMetadata: () => undefined, validate: () => ({ n: ++asked }) });
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    await peer.handshake();
    const payloads = [
      { type: 'REHANDSHAKE_RESP', metadata: {} },
      { type: 'REHANDSHAKE_REQ' },
      { type: 'X' },
      null,
      5,
      'x',
    ];
    for (const [seq, payload] of payloads.entries()) peer.send(messageOf({ seq, streamId: 'rehandshake', payload }));
    await harness.advance(60);
    expect(asked).toBe(1);
    expect(server.sessions.get('client-1')?.core.ledger.ack).toBe(payloads.length);
    expect(server.sessions.get('client-1')?.core.metadata).toEqual({ n: 1 });
    expect(events.lines).toEqual(['created session-1', 'Connected']);
  });

  test('that is answered with something else is not answered: the session ends in time', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ heartbeatIntervalMs: 60_000 });
    const events = new TransportEventLog(server);
    server.setHandshake({ checkMetadata: () => undefined, validate: () => ({}) });
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    await peer.handshake({ extensions: { heartbeat: {} } });
    server.requestRehandshake('client-1');
    expect(await peer.next()).toMatchObject({
      streamId: 'rehandshake',
      controlFlags: 0,
      payload: { type: 'REHANDSHAKE_REQ' },
    });
    peer.send(messageOf({ ack: 1, streamId: 'rehandshake', payload: { type: 'NO_IDEA' } }));
    await harness.advance(HANDSHAKE_MS - 100);
    expect(events.ends).toEqual([]);
    await harness.advance(120);
    expect(events.ends).toEqual(['expired']);
    await peer.closed();
  });

  test('asks every session of a client id that may have several', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ duplicateClient: 'coexist' });
    server.setHandshake({ checkMetadata: () => undefined, validate: () => ({}) });
    const peers: BarePeer[] = [];
    for (const sessionId of ['session-1', 'session-2']) {
      const peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      await peer.handshake({ sessionId });
      peers.push(peer);
    }
    server.requestRehandshake('client-1');
    for (const peer of peers) expect((await peer.next()).payload).toEqual({ type: 'REHANDSHAKE_REQ' });
    for (const peer of peers) peer.close();
  });
});
