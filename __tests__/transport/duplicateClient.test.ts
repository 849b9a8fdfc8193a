import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../../transport/options.ts';
import { BarePeer, messageOf } from '../support/barePeer.ts';
import { noExtensions } from '../support/extensions.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

/** Metadata that says whom it speaks for. */
interface Who {
  user: string;
}

describe.each(matrix)('a client id over $name', ({ transport, codec }) => {
  /** A server that takes whoever says a name for that person. */
  async function setup(options: ServerTransportOptions = {}, principal = (metadata: object) => (metadata as Who).user) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server(options);
    const echo = new Echo(server);
    const events = new TransportEventLog(server);
    server.setHandshake({ checkMetadata: () => undefined, validate: (metadata) => metadata, principal });
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    return {
      harness,
      server,
      echo,
      events,
      dial,
      async [Symbol.asyncDispose]() {
        echo.end();
        await harness[Symbol.asyncDispose]();
      },
    };
  }

  test('belongs to the principal of its live session: another one may neither resume nor replace it', async () => {
    await using set = await setup();
    using alice = await set.dial();
    await alice.handshake({ metadata: { user: 'alice' } });
    for (const attempt of [
      { sessionId: 'session-1' },
      { sessionId: 'session-2' },
      { sessionId: 'session-1', state: { nextExpectedSeq: 9, nextSentSeq: 9 } },
    ]) {
      using mallory = await set.dial();
      const status = await mallory.handshake({ ...attempt, metadata: { user: 'mallory' } });
      expect(status).toMatchObject({ ok: false, code: 'REJECTED_BY_CUSTOM_HANDLER' });
      expect(JSON.stringify(status)).not.toContain('alice');
      await mallory.closed();
    }
    alice.send(messageOf({ payload: 'mine' }));
    expect(await alice.next()).toMatchObject({ payload: 'mine' });
    expect(set.events.ends).toEqual([]);
  });

  test('belongs to it while its connection is lost, too, and to nobody once the session is over', async () => {
    await using set = await setup();
    using alice = await set.dial();
    await alice.handshake({ metadata: { user: 'alice' } });
    alice.close();
    await set.harness.settled();
    using mallory = await set.dial();
    expect(await mallory.handshake({ metadata: { user: 'mallory' } })).toMatchObject({ ok: false });
    using again = await set.dial();
    expect(await again.handshake({ metadata: { user: 'alice' } })).toMatchObject({ ok: true });
    again.close();
    await set.harness.advance(31_000);
    expect(set.events.ends).toEqual(['grace_elapsed']);
    using next = await set.dial();
    expect(await next.handshake({ metadata: { user: 'mallory' } })).toMatchObject({ ok: true });
  });

  test('of the same principal may be resumed and replaced', async () => {
    await using set = await setup();
    using first = await set.dial();
    await first.handshake({ metadata: { user: 'alice' } });
    using second = await set.dial();
    expect(await second.handshake({ metadata: { user: 'alice' } })).toMatchObject({ ok: true, sessionId: 'session-1' });
    await first.closed();
    using third = await set.dial();
    expect(await third.handshake({ sessionId: 'session-2', metadata: { user: 'alice' } })).toMatchObject({ ok: true });
    await second.closed();
    expect(set.events.ends).toEqual(['peer_replaced']);
  });

  test('whose principal cannot be told is refused', async () => {
    const error = new Error('no name');
    await using set = await setup({}, () => {
      throw error;
    });
    using peer = await set.dial();
    expect(await peer.handshake({ metadata: { user: 'alice' } })).toMatchObject({
      ok: false,
      code: 'REJECTED_BY_CUSTOM_HANDLER',
    });
    expect(set.server.sessions.size).toBe(0);
  });

  test.each([
    { what: 'a promise', principal: (): unknown => Promise.resolve('alice') },
    { what: 'nothing', principal: (): unknown => undefined },
    { what: 'a number', principal: (): unknown => 5 },
  ])(
    'whose principal turns out to be $what is refused: it could not be compared with the next one',
    async ({ principal }) => {
      // Declared as returning text; JavaScript does not mind.
      await using set = await setup({}, principal as () => string);
      using peer = await set.dial();
      expect(await peer.handshake({ metadata: { user: 'alice' } })).toMatchObject({
        ok: false,
        code: 'REJECTED_BY_CUSTOM_HANDLER',
      });
      expect(set.server.sessions.size).toBe(0);
    },
  );

  describe('with duplicateClient replace', () => {
    test('tells the old session’s owner that it was replaced, if it speaks extensions', async () => {
      await using set = await setup();
      const metadata = { user: 'alice' };
      using first = await set.dial();
      await first.handshake({ metadata, extensions: {} });
      using second = await set.dial();
      await second.handshake({ metadata, sessionId: 'session-2', extensions: {} });
      await first.closed();
      for (const state of [
        { nextExpectedSeq: 0, nextSentSeq: 0 },
        { nextExpectedSeq: 3, nextSentSeq: 1 },
      ]) {
        using back = await set.dial();
        expect(await back.handshake({ metadata, state, extensions: {} })).toMatchObject({
          ok: false,
          code: 'SESSION_REPLACED',
        });
        await back.closed();
      }
      expect(second.isClosed).toBe(false);
      expect([...set.server.sessions.values()].map(({ id }) => id)).toEqual(['session-2']);
    });

    test('tells a peer without extensions nothing that River does not know', async () => {
      await using set = await setup();
      const metadata = { user: 'alice' };
      using first = await set.dial();
      await first.handshake({ metadata });
      using second = await set.dial();
      await second.handshake({ metadata, sessionId: 'session-2' });
      using back = await set.dial();
      const state = { nextExpectedSeq: 1, nextSentSeq: 1 };
      expect(await back.handshake({ metadata, state })).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
      expect(second.isClosed).toBe(false);
    });

    test('forgets after the grace period who was replaced', async () => {
      await using set = await setup();
      const metadata = { user: 'alice' };
      using first = await set.dial();
      await first.handshake({ metadata, extensions: {} });
      using second = await set.dial();
      await second.handshake({ metadata, sessionId: 'session-2', extensions: {} });
      second.close();
      await set.harness.advance(29_900);
      using early = await set.dial();
      expect(await early.handshake({ metadata, extensions: {} })).toMatchObject({ code: 'SESSION_REPLACED' });
      await set.harness.advance(200);
      using late = await set.dial();
      expect(await late.handshake({ metadata, extensions: {} })).toMatchObject({ ok: true });
    });

    test('tells nobody but the owner that a session was replaced', async () => {
      await using set = await setup();
      for (const sessionId of ['session-1', 'session-2']) {
        using peer = await set.dial();
        await peer.handshake({ metadata: { user: 'alice' }, sessionId, extensions: {} });
      }
      set.server.hardDisconnect();
      using alice = await set.dial();
      expect(await alice.handshake({ metadata: { user: 'alice' }, extensions: {} })).toMatchObject({
        code: 'SESSION_REPLACED',
      });
      using mallory = await set.dial();
      expect(await mallory.handshake({ metadata: { user: 'mallory' }, extensions: {} })).toMatchObject({ ok: true });
    });

    test('remembers no more than a bounded number of them', async () => {
      await using set = await setup();
      const metadata = { user: 'alice' };
      for (let n = 1; n <= 40; n++) {
        using peer = await set.dial();
        expect(await peer.handshake({ metadata, sessionId: `session-${n}`, extensions: {} })).toMatchObject({
          ok: true,
        });
      }
      using newest = await set.dial();
      expect(await newest.handshake({ metadata, sessionId: 'session-39', extensions: {} })).toMatchObject({
        code: 'SESSION_REPLACED',
      });
      // Long forgotten: it begins anew, and that is all.
      using oldest = await set.dial();
      expect(await oldest.handshake({ metadata, sessionId: 'session-1', extensions: {} })).toMatchObject({ ok: true });
    });

    test('leaves no timer behind where two River clients fight for one id', async () => {
      await using set = await setup();
      const metadata = { user: 'alice' };
      for (const sessionId of ['a', 'b', 'a', 'b', 'a']) {
        using peer = await set.dial();
        expect(await peer.handshake({ metadata, sessionId })).toMatchObject({ ok: true });
      }
      // Leaving the block closes the server; the harness fails on a timer that is left.
      expect(set.events.ends).toHaveLength(4);
    });
  });

  describe('with duplicateClient reject', () => {
    test('refuses a second session while the first is connected, and replaces it afterwards', async () => {
      await using set = await setup({ duplicateClient: 'reject' });
      const metadata = { user: 'alice' };
      using first = await set.dial();
      await first.handshake({ metadata });
      using second = await set.dial();
      expect(await second.handshake({ metadata, sessionId: 'session-2' })).toMatchObject({
        ok: false,
        code: 'REJECTED_BY_CUSTOM_HANDLER',
      });
      await second.closed();
      expect(first.isClosed).toBe(false);
      using resumed = await set.dial();
      expect(await resumed.handshake({ metadata })).toMatchObject({ ok: true });
      resumed.close();
      await set.harness.settled();
      using third = await set.dial();
      expect(await third.handshake({ metadata, sessionId: 'session-3' })).toMatchObject({ ok: true });
      expect(set.events.ends).toEqual(['peer_replaced']);
    });
  });

  describe('with duplicateClient coexist', () => {
    test('has as many sessions as it begins, each with its own life', async () => {
      await using set = await setup({ duplicateClient: 'coexist' });
      const metadata = { user: 'alice' };
      const peers: BarePeer[] = [];
      for (const n of [1, 2, 3]) {
        const peer = await set.dial();
        peers.push(peer);
        expect(await peer.handshake({ metadata, sessionId: `session-${n}` })).toMatchObject({ ok: true });
        peer.send(messageOf({ payload: n }));
        expect(await peer.next()).toMatchObject({ seq: 0, payload: n });
      }
      expect([...set.server.sessions.keys()]).toEqual(
        [1, 2, 3].map((n) => JSON.stringify(['client-1', `session-${n}`])),
      );
      peers[1]?.close();
      await set.harness.settled();
      using resumed = await set.dial();
      const state = { nextExpectedSeq: 1, nextSentSeq: 1 };
      expect(await resumed.handshake({ metadata, sessionId: 'session-2', state })).toMatchObject({ ok: true });
      expect([peers[0]?.isClosed, peers[2]?.isClosed]).toEqual([false, false]);
      expect(set.events.ends).toEqual([]);
      for (const peer of peers) peer.close();
    });

    test('lets no other principal in, whatever session it names', async () => {
      await using set = await setup({ duplicateClient: 'coexist' });
      using alice = await set.dial();
      await alice.handshake({ metadata: { user: 'alice' } });
      for (const sessionId of ['session-1', 'session-2']) {
        using mallory = await set.dial();
        expect(await mallory.handshake({ metadata: { user: 'mallory' }, sessionId })).toMatchObject({
          code: 'REJECTED_BY_CUSTOM_HANDLER',
        });
      }
      expect(alice.isClosed).toBe(false);
      expect(set.server.sessions.size).toBe(1);
    });

    test('is free again for another principal once every session of it is over', async () => {
      await using set = await setup({ duplicateClient: 'coexist' });
      for (const sessionId of ['session-1', 'session-2']) {
        using peer = await set.dial();
        await peer.handshake({ metadata: { user: 'alice' }, sessionId });
      }
      await set.harness.advance(31_000);
      expect(set.server.sessions.size).toBe(0);
      using next = await set.dial();
      expect(await next.handshake({ metadata: { user: 'mallory' }, sessionId: 'session-3' })).toMatchObject({
        ok: true,
      });
    });

    test('does not mix up ids that look alike when they are joined', async () => {
      await using set = await setup({ duplicateClient: 'coexist' });
      using first = await set.dial();
      expect(await first.handshake({ metadata: { user: 'a' }, from: 'a","b', sessionId: 'c' })).toMatchObject({
        ok: true,
      });
      using second = await set.dial();
      expect(await second.handshake({ metadata: { user: 'b' }, from: 'a', sessionId: 'b","c' })).toMatchObject({
        ok: true,
      });
      expect(set.server.sessions.size).toBe(2);
    });
  });
});

describe.each(matrix)('two clients that share one id over $name', ({ transport, codec }) => {
  async function setup(clientOptions: ClientTransportOptions = {}) {
    const harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    harness.clock.random = () => 0.5;
    const server = harness.server();
    const tabs = [1, 2].map(() => {
      const client = harness.client(clientOptions, 'tab');
      return { client, events: new TransportEventLog(client), call: new Recorder(client.openSession('SERVER'), 's1') };
    });
    const events = new TransportEventLog(server);
    return { harness, server, tabs, events, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
  }

  test('and speak extensions: the later one stays, the earlier one is told why and does not come back by itself', async () => {
    await using set = await setup();
    const [first, second] = set.tabs;
    await set.harness.advance(600_000);
    const codes = set.tabs.map(({ events }) => events.codes.join());
    expect(codes.sort()).toEqual(['', 'SESSION_REPLACED']);
    const [loser, winner] = first?.events.codes.length === 0 ? [second, first] : [first, second];
    expect(loser?.events.ends).toEqual(['handshake_rejected']);
    expect(loser?.client.sessions.size).toBe(0);
    expect(winner?.events.ends).toEqual([]);
    expect(winner?.client.findSession('SERVER')?.isConnected).toBe(true);
    expect(set.events.ends).toEqual(['peer_replaced']);
  });

  test('and speak none, as River’s do: they take turns, and ever more slowly', async () => {
    await using set = await setup({ extensions: noExtensions, maxBackoffMs: 32_000 });
    // Each has got something, so that neither can pass for new.
    const echo = new Echo(set.server);
    for (const { call } of set.tabs) call.open({});
    await set.harness.advance(60_000);
    const inOneMinute = set.events.ends.length;
    expect(inOneMinute).toBeGreaterThan(4);
    expect(inOneMinute).toBeLessThan(25);
    await set.harness.advance(600_000);
    expect(set.events.ends.length - inOneMinute).toBeLessThan(120);
    for (const { call } of set.tabs) call.end();
    echo.end();
  });
});
