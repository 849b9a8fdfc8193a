import { describe, expect, test } from 'vitest';
import { closeAllConnections } from '../../testUtil/connections.ts';
import { createHarness, type Harness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { ClientTransport } from '../../transport/client.ts';
import { HoldfastError, SessionClosedError, TransportClosedError } from '../../transport/errors.ts';
import type { Dial, DialCallbacks } from '../../transport/session/SessionConnecting.ts';
import { BarePeer, requestOf } from '../support/barePeer.ts';
import { BareServer } from '../support/bareServer.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { DeadEnd } from '../support/states.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

const HOUR_MS = 3_600_000;

describe.each(matrix)('a transport over $name', ({ transport, codec }) => {
  const setup = () => createHarness({ transport, codec });

  test('tells of a session’s life in order', async () => {
    await using harness = await setup();
    const server = harness.server();
    const client = harness.client({}, 'client-1');
    const events = { client: new TransportEventLog(client), server: new TransportEventLog(server) };
    const { id } = client.openSession('SERVER');
    await harness.settled();
    closeAllConnections(client);
    await harness.advance(1_000);
    client.hardDisconnect();
    await harness.settled();
    client.close();
    server.close();
    const again = ['NoConnection', 'BackingOff', 'Connecting', 'Handshaking', 'Connected'];
    expect(events.client.lines.slice(0, 13)).toEqual([
      `created ${id}`,
      ...again,
      ...again,
      `closing ${id} closed_locally`,
      `closed ${id} closed_locally`,
    ]);
    expect(events.client.lines.at(-1)).toBe('transport closed');
    expect(events.server.lines.slice(0, 4)).toEqual([`created ${id}`, 'Connected', 'NoConnection', 'Connected']);
    expect(events.server.lines.at(-1)).toBe('transport closed');
  });

  test('hands out a live handle with closing, and with closed only who it was', async () => {
    await using harness = await setup();
    const server = harness.server();
    const client = harness.client({}, 'client-1');
    const seen: unknown[] = [];
    for (const side of [server, client])
      side.addEventListener('sessionStatus', (event) => {
        seen.push(
          event.status === 'closed'
            ? { ...event.session }
            : [event.status, event.session.to, event.session._isConsumed],
        );
      });
    client.connect('SERVER');
    await harness.settled();
    const { id } = client.openSession('SERVER');
    server.close();
    expect(seen).toEqual([
      ['created', 'SERVER', false],
      ['created', 'client-1', false],
      ['closing', 'client-1', false],
      { id, to: 'client-1' },
    ]);
  });

  test('does not tell a listener that was removed, nor one twice that was added twice', async () => {
    await using harness = await setup();
    harness.server();
    const client = harness.client({}, 'client-1');
    let twice = 0;
    let removed = 0;
    const listener = () => {
      twice += 1;
    };
    const other = () => {
      removed += 1;
    };
    client.addEventListener('transportStatus', listener);
    client.addEventListener('transportStatus', listener);
    client.addEventListener('transportStatus', other);
    client.removeEventListener('transportStatus', other);
    client.close();
    client.close();
    expect([twice, removed]).toEqual([1, 0]);
  });

  test('that is closed refuses whatever would begin something, says so, and stays closed', async () => {
    await using harness = await setup();
    const server = harness.server();
    const client = harness.client({}, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open({});
    await harness.settled();
    client.close();
    server.close();
    expect([client.getStatus(), server.getStatus()]).toEqual(['closed', 'closed']);
    expect(() => client.connect('SERVER')).toThrow(TransportClosedError);
    expect(() => client.openSession('SERVER')).toThrow(TransportClosedError);
    expect(() => call.send({})).toThrow(SessionClosedError);
    expect(() => call.port.openStream('s2', call)).toThrow(SessionClosedError);
    expect(call.port.isOpen).toBe(false);
    expect(call.port.isConnected).toBe(false);
    expect(client.findSession('SERVER')).toBeUndefined();
    // Nothing to do, and nothing wrong.
    client.endBackoff();
    client.hardDisconnect();
    server.requestRehandshake('client-1');
    client.close();
    await harness.advance(HOUR_MS);
    expect(call.ends).toEqual(['closed_locally']);
    expect(client.sessions.size).toBe(0);
  });

  const states: Record<string, (harness: Harness) => Promise<ClientTransport>> = {
    'before it was ever connected': async (harness) => harness.client({}, 'client-1'),
    'while it backs off': async (harness) => {
      harness.server();
      harness.link.setReachable(false);
      const client = harness.client({ baseIntervalMs: 10_000 }, 'client-1');
      client.connect('SERVER');
      await harness.advance(100);
      expect(client.sessions.get('SERVER')?.state).toBe('BackingOff');
      return client;
    },
    'while it dials': async (harness) => {
      harness.server();
      const client = harness.client({}, 'client-1');
      client.connect('SERVER');
      expect(client.sessions.get('SERVER')?.state).toBe('Connecting');
      return client;
    },
    'while it shakes hands': async (harness) => {
      harness.server().setHandshake({ checkMetadata: () => undefined, validate: () => new Promise(() => undefined) });
      const client = harness.client({}, 'client-1');
      client.connect('SERVER');
      await harness.settled();
      expect(client.sessions.get('SERVER')?.state).toBe('Handshaking');
      return client;
    },
    'while it makes metadata': async (harness) => {
      harness.server();
      const client = harness.client({}, 'client-1');
      client.setHandshake({ construct: () => new Promise(() => undefined) });
      client.connect('SERVER');
      await harness.settled();
      expect(client.sessions.get('SERVER')?.state).toBe('Handshaking');
      return client;
    },
    'while it is connected': async (harness) => {
      harness.server();
      const client = harness.client({}, 'client-1');
      client.connect('SERVER');
      await harness.settled();
      expect(client.sessions.get('SERVER')?.state).toBe('Connected');
      return client;
    },
    'while its session is over and the next one waits': async (harness) => {
      harness.server();
      harness.link.setReachable(false);
      const client = harness.client(
        { baseIntervalMs: 60_000, maxBackoffMs: 60_000, sessionDisconnectGraceMs: 10_000 },
        'client-1',
      );
      client.connect('SERVER');
      await harness.advance(20_000);
      return client;
    },
  };

  test.each(Object.entries(states))(
    'that is closed %s leaves nothing behind and never comes back',
    async (_when, reach) => {
      await using harness = await setup();
      harness.holdsHandshakes = true;
      const client = await reach(harness);
      client.close();
      expect(client.sessions.size).toBe(0);
      const dials: string[] = [];
      client.addEventListener('sessionTransition', ({ state }) => dials.push(state));
      harness.link.setReachable(true);
      await harness.advance(HOUR_MS / 6);
      expect(dials).toEqual([]);
      // Leaving the block fails on whatever timer, session, pending handshake or socket is left.
    },
  );

  test('that is a server closes whatever is connected, away or pending', async () => {
    await using harness = await setup();
    harness.holdsHandshakes = true;
    const server = harness.server();
    const events = new TransportEventLog(server);
    server.setHandshake({
      checkMetadata: () => undefined,
      validate: (metadata) => (metadata === 'slow' ? new Promise(() => undefined) : {}),
    });
    const dial = async () => new BarePeer(await harness.link.dial('SERVER'), codec);
    using connected = await dial();
    await connected.handshake({ from: 'connected', sessionId: '1' });
    using away = await dial();
    await away.handshake({ from: 'away', sessionId: '2' });
    away.close();
    using silent = await dial();
    using validated = await dial();
    validated.send(requestOf({ from: 'validated', metadata: 'slow' }));
    await harness.settled();
    expect(server.pendingHandshakes).toBe(2);
    server.close();
    expect(server.pendingHandshakes).toBe(0);
    expect(server.sessions.size).toBe(0);
    expect(events.ends).toEqual(['closed_locally', 'closed_locally']);
    for (const peer of [connected, silent, validated]) await peer.closed();
    await harness.settled();
    // Nothing of the transport's runs any more; closing sockets may take their time to say goodbye.
    await harness.advance(1_000);
    expect(harness.clock.pendingTimers).toBe(0);
  });

  test('hardDisconnect of a client ends its session and its calls once, and begins another', async () => {
    await using harness = await setup();
    const server = harness.server();
    const echo = new Echo(server);
    const client = harness.client({}, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open({});
    await harness.settled();
    client.hardDisconnect();
    expect(call.ends).toEqual(['closed_locally']);
    await harness.advance(1_000);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
    expect(client.findSession('SERVER')?.id).not.toBe(call.port.id);
    expect(call.ends).toHaveLength(1);
    expect(echo.ends).toEqual(['peer_replaced']);
    expect(server.sessions.size).toBe(1);
  });

  test('hardDisconnect of a server ends its sessions: their clients hear a mismatch and begin others', async () => {
    await using harness = await setup();
    const server = harness.server();
    const echo = new Echo(server);
    const client = harness.client({}, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open({});
    await harness.settled();
    server.hardDisconnect();
    expect(echo.ends).toEqual(['closed_locally']);
    expect(server.getStatus()).toBe('open');
    await harness.advance(2_000);
    expect(call.ends).toEqual(['state_mismatch']);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
  });

  test('a server that is replaced by another loses its sessions, and its clients begin new ones', async () => {
    await using harness = await setup();
    const first = harness.server();
    // Its answer is what tells the client later that this is not the server it knew.
    new Echo(first);
    const client = harness.client({}, 'client-1');
    const call = new Recorder(client.openSession('SERVER'), 's1');
    call.open({});
    await harness.settled();
    first.close();
    const second = harness.server();
    await harness.advance(2_000);
    expect(call.ends).toEqual(['state_mismatch']);
    expect(second.sessions.get('client-1')?.state).toBe('Connected');
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
  });

  test.each(['client', 'server'] as const)(
    'of a %s without transparent reconnects ends its session with its connection',
    async (side) => {
      await using harness = await setup();
      const off = { enableTransparentSessionReconnects: false };
      const server = harness.server(side === 'server' ? off : {});
      new Echo(server);
      const client = harness.client(side === 'client' ? off : {}, 'client-1');
      const events = { client: new TransportEventLog(client), server: new TransportEventLog(server) };
      const call = new Recorder(client.openSession('SERVER'), 's1');
      call.open({});
      await harness.settled();
      harness.link.cut();
      await harness.settled();
      expect(events[side].ends).toEqual(['closed_locally']);
      await harness.advance(2_000);
      expect(call.ends).toEqual([side === 'client' ? 'closed_locally' : 'state_mismatch']);
      expect(client.findSession('SERVER')?.isConnected).toBe(true);
      expect(client.findSession('SERVER')?.id).not.toBe(call.port.id);
      expect(server.sessions.size).toBe(1);
    },
  );

  test('connects to several servers at once, each with its own session', async () => {
    if (transport !== 'memory') return;
    await using harness = await setup();
    harness.server({}, 'A');
    harness.server({}, 'B');
    const client = harness.client({}, 'client-1');
    client.connect('A');
    client.connect('B');
    await harness.settled();
    expect([...client.sessions.values()].map(({ to, state }) => `${to} ${state}`)).toEqual([
      'A Connected',
      'B Connected',
    ]);
    expect(new Set([...client.sessions.values()].map(({ id }) => id)).size).toBe(2);
  });

  test('serves one router at a time', async () => {
    await using harness = await setup();
    const server = harness.server();
    const opener = () => ({ onUnclaimedMessage: () => undefined, onSessionEnded: () => undefined });
    const unbind = server.bindOpener(opener());
    expect(() => server.bindOpener(opener())).toThrow(HoldfastError);
    unbind();
    const again = server.bindOpener(opener());
    // It was unbound already: this concerns nobody.
    unbind();
    expect(() => server.bindOpener(opener())).toThrow(/already serves/);
    again();
  });

  test('constructed and left alone connects to nobody', async () => {
    await using harness = await setup();
    using server = new BareServer(harness.link, codec);
    const client = harness.client({}, 'client-1');
    client.setHandshake({ construct: () => ({}) });
    client.endBackoff();
    await harness.advance(60_000);
    expect(server.peers).toEqual([]);
    expect(client.sessions.size).toBe(0);
    expect(harness.clock.pendingTimers).toBe(0);
  });
});

/** A client whose dials a test settles by hand. */
class ManualClient extends ClientTransport {
  readonly dials: DialCallbacks[] = [];
  abandoned = 0;

  protected override dial(): Dial {
    return (callbacks) => {
      this.dials.push(callbacks);
      return () => {
        this.abandoned += 1;
      };
    };
  }
}

describe('a dial that was given up', () => {
  function setup() {
    const clock = new VirtualClock(() => Promise.resolve());
    clock.random = () => 0;
    return { clock, client: new ManualClient('client-1', { clock, connectionTimeoutMs: 1_000 }) };
  }

  test('and opens late, after its transport was closed, is closed', () => {
    const { client } = setup();
    client.connect('SERVER');
    client.close();
    expect(client.abandoned).toBe(1);
    const late = new DeadEnd();
    client.dials[0]?.onOpen(late);
    expect(late.isEnded).toBe(true);
    expect(late.sent).toEqual([]);
  });

  test('and opens late, while its successor dials, is closed and does not take its place', async () => {
    const { clock, client } = setup();
    client.connect('SERVER');
    await clock.advance(1_150);
    expect(client.dials).toHaveLength(2);
    expect(client.abandoned).toBe(1);
    const late = new DeadEnd();
    client.dials[0]?.onOpen(late);
    expect(late.isEnded).toBe(true);
    const inTime = new DeadEnd();
    client.dials[1]?.onOpen(inTime);
    expect(inTime.isEnded).toBe(false);
    expect(inTime.sent).toHaveLength(1);
    expect(client.sessions.get('SERVER')?.state).toBe('Handshaking');
    client.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('or settles twice counts once', async () => {
    const { clock, client } = setup();
    client.connect('SERVER');
    const [first, second] = [new DeadEnd(), new DeadEnd()];
    client.dials[0]?.onOpen(first);
    client.dials[0]?.onOpen(second);
    client.dials[0]?.onError(new Error('as well'));
    expect(second.isEnded).toBe(true);
    expect(first.isEnded).toBe(false);
    expect(client.sessions.get('SERVER')?.state).toBe('Handshaking');
    first.close();
    client.hardDisconnect();
    await clock.advance(0);
    client.dials.at(-1)?.onError(new Error('refused'));
    client.dials.at(-1)?.onError(new Error('refused again'));
    const late = new DeadEnd();
    client.dials.at(-1)?.onOpen(late);
    expect(late.isEnded).toBe(true);
    expect(client.sessions.get('SERVER')?.state).toBe('BackingOff');
    client.close();
  });

  test('opens within the very call that begins it, or fails there', async () => {
    const clock = new VirtualClock(() => Promise.resolve());
    clock.random = () => 0;
    const connection = new DeadEnd();
    class Immediate extends ClientTransport {
      dialled = 0;
      protected override dial(): Dial {
        return ({ onOpen, onError }) => {
          this.dialled += 1;
          if (this.dialled === 1) onError(new Error('at once'));
          else onOpen(connection);
          return () => undefined;
        };
      }
    }
    const client = new Immediate('client-1', { clock });
    client.connect('SERVER');
    expect(client.sessions.get('SERVER')?.state).toBe('BackingOff');
    await clock.advance(150);
    expect(client.dialled).toBe(2);
    expect(client.sessions.get('SERVER')?.state).toBe('Handshaking');
    client.close();
    expect(connection.isEnded).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('throws instead of reporting: the client goes on all the same', async () => {
    const clock = new VirtualClock(() => Promise.resolve());
    clock.random = () => 0;
    class Throwing extends ClientTransport {
      dialled = 0;
      protected override dial(): Dial {
        return () => {
          this.dialled += 1;
          throw new Error('not even a callback');
        };
      }
    }
    const client = new Throwing('client-1', { clock, connectionTimeoutMs: 1_000 });
    client.connect('SERVER');
    await clock.advance(10_000);
    expect(client.dialled).toBeGreaterThan(2);
    client.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
