import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { JsonCodec } from '../../codec/json.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { InvalidOptionsError } from '../../transport/errors.ts';
import { WebSocketClientTransport, type WebSocketGetter } from '../../transport/impls/ws/client.ts';
import { ReadyState, WebSocketConnection, type WebSocketLike } from '../../transport/impls/ws/connection.ts';
import { WebSocketServerTransport, type WebSocketServerTransportOptions } from '../../transport/impls/ws/server.ts';
import { BarePeer, messageOf, requestOf, statusOf } from '../support/barePeer.ts';
import { PipeSocket } from '../support/pipeSocket.ts';
import { Echo, Recorder } from '../support/ports.ts';
import { TransportEventLog } from '../support/transportEvents.ts';

let unhandled: unknown[] = [];
const note = (error: unknown) => {
  unhandled.push(error);
};

beforeEach(() => {
  unhandled = [];
  process.on('unhandledRejection', note);
});

afterEach(async () => {
  await turns();
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

/** Some turns of the event loop. */
async function turns(count = 6): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
}

/** The application's http server, its upgrades handed to a transport. */
async function upgrading(options: WebSocketServerTransportOptions = {}) {
  const http = createServer((_request, response) => response.end('hello'));
  const transport = new WebSocketServerTransport(undefined, 'SERVER', options);
  const sockets = new Set<Socket>();
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  http.on('upgrade', (request, socket, head) => transport.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    transport,
    sockets,
    port: portOf(http),
    url: `ws://127.0.0.1:${portOf(http)}/chat?room=1`,
    async [Symbol.asyncDispose]() {
      transport.close();
      await new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** `open`, or the status with which the upgrade was refused, or the code with which it was closed right away. */
function outcomeOf(url: string, options: { origin?: string } = {}): Promise<number | 'open'> {
  return new Promise((resolve) => {
    const ws = new WebSocket(url, options);
    ws.on('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    ws.on('error', () => undefined);
    ws.on('close', (code) => resolve(code));
    ws.on('open', () => {
      // A refusal after the upgrade follows on its heels.
      void turns(20).then(() => {
        resolve('open');
        ws.terminate();
      });
    });
  });
}

async function barePeer(url: string, origin?: string): Promise<BarePeer> {
  const ws = new WebSocket(url, origin === undefined ? {} : { origin });
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return new BarePeer(new WebSocketConnection(ws, new VirtualClock(turns)), JsonCodec);
}

describe('origins', () => {
  const allowedOrigins = ['https://app.example', 'http://localhost:3000'];

  test.each([
    { origin: 'https://app.example', outcome: 'open' },
    { origin: 'http://localhost:3000', outcome: 'open' },
    { origin: undefined, outcome: 'open' },
    { origin: 'https://evil.example', outcome: 403 },
    { origin: 'http://app.example', outcome: 403 },
    { origin: 'https://app.example.evil.example', outcome: 403 },
    { origin: 'https://app.example:444', outcome: 403 },
    { origin: 'null', outcome: 403 },
  ])('a page of $origin is answered $outcome before the upgrade', async ({ origin, outcome }) => {
    await using set = await upgrading({ allowedOrigins });
    expect(await outcomeOf(set.url, origin === undefined ? {} : { origin })).toBe(outcome);
    if (outcome === 403) expect(set.transport.pendingHandshakes).toBe(0);
  });

  test.each([
    ['https://app.example/', "expected 'https://app.example'"],
    ['https://App.example', "expected 'https://app.example'"],
    ['https://app.example:443', "expected 'https://app.example'"],
    ['https://app.example/path', "expected 'https://app.example'"],
    ['app.example', 'expected an origin such as https://app.example'],
    ['*', 'expected an origin such as https://app.example'],
    ['https://', 'expected an origin such as https://app.example'],
  ])('that no browser sends is refused: %s', (origin, expected) => {
    const make = () => new WebSocketServerTransport(undefined, 'SERVER', { allowedOrigins: [origin] });
    expect(make).toThrow(InvalidOptionsError);
    expect(make).toThrow(expected);
  });

  test('of an extension, an app and a sandboxed page are origins, too', () => {
    const origins = ['chrome-extension://abcdef', 'capacitor://localhost', 'null', 'http://[::1]:8080'];
    new WebSocketServerTransport(undefined, 'SERVER', { allowedOrigins: origins }).close();
  });

  test('are not checked where none are given, and nobody may come where the list is empty', async () => {
    await using open = await upgrading();
    expect(await outcomeOf(open.url, { origin: 'https://anybody.example' })).toBe('open');
    await using closed = await upgrading({ allowedOrigins: [] });
    expect(await outcomeOf(closed.url, { origin: 'https://anybody.example' })).toBe(403);
  });

  test('that are foreign are closed where somebody else did the upgrade', async () => {
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => wss.once('listening', resolve));
    const address = wss.address();
    const url = `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const transport = new WebSocketServerTransport(wss, 'SERVER', { allowedOrigins });
    expect(await outcomeOf(url, { origin: 'https://evil.example' })).toBe(1008);
    expect(await outcomeOf(url, { origin: 'https://app.example' })).toBe('open');
    transport.close();
    await new Promise((resolve) => wss.close(resolve));
  });

  test('of a refused upgrade cost no socket, even where the peer never hangs up', async () => {
    await using set = await upgrading({ allowedOrigins });
    const socket = connect({ port: set.port, host: '127.0.0.1', allowHalfOpen: true });
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.on('error', () => undefined);
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://evil.example\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    expect(await answered).toMatch(/^HTTP\/1\.1 403 /);
    await turns(20);
    expect(set.sockets.size).toBe(0);
    socket.destroy();
  });
});

describe('upgrades', () => {
  test('make connections whose validator sees the request', async () => {
    await using set = await upgrading();
    const seen: unknown[] = [];
    set.transport.setHandshake({
      checkMetadata: () => undefined,
      validate: (_metadata, _previous, _from, peer) => {
        seen.push(peer);
        return {};
      },
    });
    using peer = await barePeer(set.url, 'https://app.example');
    expect(await peer.handshake()).toMatchObject({ ok: true });
    expect(seen).toEqual([
      expect.objectContaining({
        transport: 'ws',
        reason: 'connect',
        url: '/chat?room=1',
        remoteAddress: expect.stringContaining('127.0.0.1'),
        headers: expect.objectContaining({ origin: 'https://app.example' }),
      }),
    ]);
  });

  test('are refused once the transport is closed, and its http server goes on', async () => {
    await using set = await upgrading();
    using peer = await barePeer(set.url);
    await peer.handshake();
    set.transport.close();
    await peer.closed();
    expect(await outcomeOf(set.url)).toBe(503);
    const response = await fetch(set.url.replace('ws:', 'http:'));
    expect(await response.text()).toBe('hello');
    await turns(20);
  });

  test('under way while the transport closes come to nothing', async () => {
    await using set = await upgrading();
    const ws = new WebSocket(set.url);
    const ended = new Promise((resolve) => ws.on('error', resolve).on('close', resolve));
    await new Promise((resolve) => ws.once('upgrade', resolve));
    set.transport.close();
    await ended;
    expect(set.transport.pendingHandshakes).toBe(0);
  });

  test('that are none are answered as such', async () => {
    await using set = await upgrading();
    const socket = connect(set.port, '127.0.0.1');
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    expect(await answered).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });

  test('a message over the limit ends its session with the code of RFC 6455', async () => {
    await using set = await upgrading({ maxMessageBytes: 5_000 });
    const events = new TransportEventLog(set.transport);
    const ws = new WebSocket(set.url);
    await new Promise((resolve) => ws.once('open', resolve));
    const closed = new Promise((resolve) => ws.once('close', resolve));
    const answered = new Promise((resolve) => ws.once('message', resolve));
    ws.send(JsonCodec.toBuffer(requestOf()));
    await answered;
    ws.send(JsonCodec.toBuffer(messageOf({ payload: 'x'.repeat(6_000) })));
    expect(await closed).toBe(1009);
    await turns();
    expect(events.ends).toEqual(['protocol_violation']);
  });

  test.each([
    { what: 'a frame without a mask', bytes: [0x82, 0x01, 0x7b] },
    { what: 'reserved bits', bytes: [0xf2, 0x80, 0, 0, 0, 0] },
    { what: 'an opcode that does not exist', bytes: [0x83, 0x80, 0, 0, 0, 0] },
    { what: 'a length of 2^63', bytes: [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0] },
    { what: 'text that is no UTF-8', bytes: [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe] },
  ])('$what closes the connection, and the process lives', async ({ bytes }) => {
    await using set = await upgrading();
    const socket = connect(set.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await new Promise((resolve) => socket.once('data', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write(new Uint8Array(bytes));
    await closed;
    await turns();
    expect(set.transport.pendingHandshakes).toBe(0);
    using peer = await barePeer(set.url);
    expect(await peer.handshake()).toMatchObject({ ok: true });
  });

  test('pings and empty messages before the handshake do not keep a connection', async () => {
    await using set = await upgrading();
    const ws = new WebSocket(set.url);
    await new Promise((resolve) => ws.once('open', resolve));
    const closed = new Promise((resolve) => ws.once('close', resolve));
    ws.ping();
    await turns();
    expect(set.transport.pendingHandshakes).toBe(1);
    ws.send(new Uint8Array(0));
    await closed;
    expect(set.transport.pendingHandshakes).toBe(0);
  });
});

describe('a ws server of the application', () => {
  test('keeps listening, without the transport’s listener, when the transport closes', async () => {
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => wss.once('listening', resolve));
    const address = wss.address();
    const url = `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const before = { connection: wss.listenerCount('connection'), error: wss.listenerCount('error') };
    const transport = new WebSocketServerTransport(wss);
    expect(wss.listenerCount('connection')).toBe(before.connection + 1);
    using peer = await barePeer(url);
    expect(await peer.handshake()).toMatchObject({ ok: true });
    transport.close();
    await peer.closed();
    expect({ connection: wss.listenerCount('connection'), error: wss.listenerCount('error') }).toEqual(before);
    expect(await outcomeOf(url)).toBe('open');
    for (const client of wss.clients) client.terminate();
    await new Promise((resolve) => wss.close(resolve));
  });

  test.each([
    { when: 'a peer is silent', closes: false },
    { when: 'a goodbye was not answered', closes: true },
  ])('whose WebSockets throw on being terminated, once $when, harms nobody', async ({ closes }) => {
    const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => wss.once('listening', resolve));
    let attempts = 0;
    wss.on('connection', (ws) => {
      ws.terminate = () => {
        attempts += 1;
        throw new Error('not now');
      };
    });
    const clock = new VirtualClock(turns);
    const transport = new WebSocketServerTransport(wss, 'SERVER', { clock });
    const events = new TransportEventLog(transport);
    const errors: string[] = [];
    transport.bindLogger((message) => errors.push(message), 'error');
    const address = wss.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const ws = new WebSocket(`ws://127.0.0.1:${port}`);
    await new Promise((resolve) => ws.once('open', resolve));
    const peer = new BarePeer(new WebSocketConnection(ws, clock), JsonCodec);
    expect(await peer.handshake()).toMatchObject({ ok: true });
    ws.pause();
    if (closes) transport.close();
    await clock.advance(60_000);
    expect(attempts).toBe(1);
    expect(errors).toEqual([]);
    expect(events.ends).toHaveLength(1);
    expect(transport.sessions.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    transport.close();
    ws.terminate();
    for (const client of wss.clients) WebSocket.prototype.terminate.call(client);
    await new Promise((resolve) => wss.close(resolve));
  });

  test('a peer that does not answer the goodbye does not keep its socket', async () => {
    await using harness = await createHarness({ transport: 'ws', codec: JsonCodec });
    harness.holdsHandshakes = true;
    const server = harness.server();
    const { hostname, port } = new URL(harness.link.address);
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.resume();
    await harness.settled();
    expect(harness.link.openSockets()).toBe(1);
    server.close();
    await harness.advance(1_000);
    const left = harness.link.openSockets();
    socket.destroy();
    expect(left).toBe(0);
  });
});

describe('a WebSocket that somebody else upgraded', () => {
  function server() {
    const clock = new VirtualClock(turns);
    const transport = new WebSocketServerTransport(undefined, 'SERVER', { clock });
    return { clock, transport, [Symbol.dispose]: () => transport.close() };
  }

  function answerOf(sent: Uint8Array | undefined) {
    return statusOf(JsonCodec.fromBuffer(sent ?? new Uint8Array(0)) as never);
  }

  test('is taken as it is, with what is known of its peer', () => {
    using set = server();
    const seen: unknown[] = [];
    set.transport.setHandshake({
      checkMetadata: () => undefined,
      validate: (_metadata, _previous, _from, peer) => {
        seen.push(peer);
        return {};
      },
    });
    const ws = new PipeSocket();
    set.transport.accept(ws, { remoteAddress: '10.0.0.1', headers: { cookie: 'a=b' }, url: '/x' });
    expect(ws.binaryType).toBe('arraybuffer');
    ws.hear(JsonCodec.toBuffer(requestOf()));
    expect(answerOf(ws.sent[0])).toMatchObject({ ok: true });
    expect(seen).toEqual([
      { transport: 'ws', reason: 'connect', remoteAddress: '10.0.0.1', headers: { cookie: 'a=b' }, url: '/x' },
    ]);
  });

  test.each([
    { as: 'a Uint8Array', wrap: (bytes: Uint8Array): unknown => bytes },
    { as: 'an ArrayBuffer', wrap: (bytes: Uint8Array): unknown => Uint8Array.from(bytes).buffer },
    {
      as: 'a Buffer in the middle of its memory',
      wrap: (bytes: Uint8Array): unknown => Buffer.concat([Buffer.from('xx'), bytes]).subarray(2),
    },
    { as: 'text', wrap: (bytes: Uint8Array): unknown => new TextDecoder().decode(bytes) },
  ])('may deliver its frames as $as', ({ wrap }) => {
    using set = server();
    const ws = new PipeSocket();
    set.transport.accept(ws);
    ws.hear(wrap(JsonCodec.toBuffer(requestOf())));
    expect(answerOf(ws.sent[0])).toMatchObject({ ok: true });
  });

  test('is closed at once where the transport is closed, or the WebSocket itself', async () => {
    using set = server();
    const gone = new PipeSocket();
    gone.readyState = ReadyState.closed;
    set.transport.accept(gone);
    expect(set.transport.pendingHandshakes).toBe(0);
    set.transport.close();
    const late = new PipeSocket();
    set.transport.accept(late);
    expect(late.readyState).toBe(ReadyState.closed);
    expect(set.transport.pendingHandshakes).toBe(0);
    await turns();
  });

  test('that fails to send is seen as gone when it says so, and its session waits', () => {
    using set = server();
    const ws = new PipeSocket();
    set.transport.accept(ws);
    ws.hear(JsonCodec.toBuffer(requestOf()));
    ws.send = () => {
      throw new Error('broken pipe');
    };
    set.transport.sessions.get('client-1')?.core.send({ streamId: 's', controlFlags: 0, payload: 1 });
    expect(set.transport.sessions.get('client-1')?.state).toBe('Connected');
    ws.close();
    expect(set.transport.sessions.get('client-1')?.state).toBe('NoConnection');
    expect(set.transport.sessions.get('client-1')?.core.ledger.unackedCount).toBe(1);
  });
});

describe('a connection that delivers within the call that sends', () => {
  /** A client and a server with nothing between them, not even a turn of the event loop. */
  function pair() {
    const clock = new VirtualClock(turns);
    const server = new WebSocketServerTransport(undefined, 'SERVER', { clock });
    const echo = new Echo(server);
    const sockets: PipeSocket[] = [];
    const client = new WebSocketClientTransport(
      () => {
        const [near, far] = PipeSocket.synchronousPair();
        sockets.push(near);
        server.accept(far);
        return near;
      },
      'client-1',
      { clock },
    );
    const events = { client: new TransportEventLog(client), server: new TransportEventLog(server) };
    return {
      clock,
      server,
      client,
      sockets,
      events,
      echo,
      [Symbol.dispose]() {
        echo.end();
        client.close();
        server.close();
        expect(clock.pendingTimers).toBe(0);
      },
    };
  }

  test('carries what waited for the first answer at once, without a second connection', async () => {
    using set = pair();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open(0);
    for (let n = 1; n < 5; n++) call.send(n);
    await turns();
    expect(set.sockets).toHaveLength(1);
    expect(call.payloads).toEqual([0, 1, 2, 3, 4]);
    expect(set.events.client.lines).toEqual([
      'created '.concat(call.port.id),
      'NoConnection',
      'BackingOff',
      'Connecting',
      'Handshaking',
      'Connected',
    ]);
    expect(set.events.server.lines).toEqual(['created '.concat(call.port.id), 'Connected']);
    call.end();
  });

  test('resumes, and what was not confirmed arrives once and in order', async () => {
    using set = pair();
    const call = new Recorder(set.client.openSession('SERVER'), 's1');
    call.open(0);
    await turns();
    for (let round = 0; round < 3; round++) {
      const socket = set.sockets.at(-1);
      if (socket !== undefined) socket.isLive = false;
      for (let n = 0; n < 3; n++) call.send(round * 3 + n + 1);
      socket?.close();
      await set.clock.advance(3_000);
      expect(call.payloads).toEqual(Array.from({ length: round * 3 + 4 }, (_, n) => n));
      expect(set.sockets).toHaveLength(round + 2);
    }
    expect(set.events.client.ends).toEqual([]);
    call.end();
  });

  test('lives through heartbeats', async () => {
    using set = pair();
    set.client.connect('SERVER');
    await set.clock.advance(60_000);
    expect(set.sockets).toHaveLength(1);
    expect(set.server.sessions.get('client-1')?.core.ledger.unackedCount).toBe(0);
  });

  test('lets a listener close either side at any time', async () => {
    for (const side of ['client', 'server'] as const) {
      using set = pair();
      set[side].addEventListener('sessionTransition', ({ state }) => {
        if (state === 'Connected') set[side].close();
      });
      set.client.connect('SERVER');
      await turns();
      expect(set[side].sessions.size).toBe(0);
    }
  });
});

describe('a getter of WebSockets', () => {
  async function setup(getter: WebSocketGetter) {
    const harness = await createHarness({ transport: 'ws', codec: JsonCodec });
    harness.holdsHandshakes = true;
    const server = harness.server();
    const client = new WebSocketClientTransport(getter, 'client-1', {
      clock: harness.clock,
      codec: JsonCodec,
      connectionTimeoutMs: 1_000,
      maxJitterMs: 0,
    });
    return {
      harness,
      server,
      client,
      get state() {
        return client.sessions.get('SERVER')?.state;
      },
      async [Symbol.asyncDispose]() {
        client.close();
        await harness[Symbol.asyncDispose]();
      },
    };
  }

  const nothing: unknown = undefined;
  const bad: [what: string, getter: WebSocketGetter][] = [
    ['gives what cannot be listened to', () => Object.freeze({ readyState: 0 }) as never],
    ['promises what cannot be listened to', () => Promise.resolve(Object.freeze({ readyState: 0 })) as never],
    [
      'throws',
      () => {
        throw new Error('no url');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no url'))],
    ['returns nothing', () => nothing as WebSocketLike],
    ['resolves with nothing', () => Promise.resolve(nothing as WebSocketLike)],
    ['returns something else', () => ({}) as WebSocketLike],
    [
      'returns one that is closed',
      () => {
        const ws = new PipeSocket();
        ws.readyState = ReadyState.closed;
        return ws;
      },
    ],
    ['cannot reach anybody', () => new WebSocket('ws://127.0.0.1:1')],
    ['never settles', () => new Promise(() => undefined)],
  ];

  test.each(bad)('that %s is a failed dial, and the next one is made in time', async (_what, getter) => {
    let dials = 0;
    const getters = [getter, getter];
    await using set = await setup((to) => {
      dials += 1;
      return (getters.shift() ?? (() => new WebSocket(set.harness.link.address)))(to);
    });
    set.client.connect('SERVER');
    await set.harness.advance(1_000 + 150 + 1_000 + 300 + 100);
    expect(dials).toBe(3);
    expect(set.state).toBe('Connected');
    expect(set.server.sessions.size).toBe(1);
  });

  test('is told whom it dials, and may be asynchronous', async () => {
    const asked: string[] = [];
    await using set = await setup(async (to) => {
      asked.push(to);
      await turns(2);
      return new WebSocket(set.harness.link.address);
    });
    set.client.connect('SERVER');
    await turns(20);
    await set.harness.settled();
    expect(asked).toEqual(['SERVER']);
    expect(set.state).toBe('Connected');
  });

  test.each(['with a WebSocket', 'with nothing', 'with an error'])(
    'that settles %s after its dial was given up does not disturb the next one',
    async (how) => {
      let settle: () => void = () => undefined;
      let late: WebSocket | undefined;
      let dials = 0;
      await using set = await setup(() => {
        dials += 1;
        if (dials > 1) return new WebSocket(set.harness.link.address);
        return new Promise<WebSocketLike>((resolve, reject) => {
          settle = () => {
            if (how === 'with an error') return reject(new Error('too late'));
            if (how === 'with nothing') return resolve(nothing as WebSocketLike);
            late = new WebSocket(set.harness.link.address);
            resolve(late);
          };
        });
      });
      set.client.connect('SERVER');
      await set.harness.advance(1_000 + 150);
      await set.harness.settled();
      expect(set.state).toBe('Connected');
      const events = new TransportEventLog(set.client);
      settle();
      await turns(20);
      await set.harness.settled();
      expect(events.lines).toEqual([]);
      expect(set.state).toBe('Connected');
      expect(set.server.sessions.size).toBe(1);
      expect(set.server.pendingHandshakes).toBe(0);
      if (late !== undefined) expect(late.readyState).toBeGreaterThanOrEqual(ReadyState.closing);
    },
  );

  test('whose WebSocket opens after close() is closed without a word', async () => {
    const made: WebSocket[] = [];
    await using set = await setup(() => {
      const ws = new WebSocket(set.harness.link.address);
      made.push(ws);
      return ws;
    });
    set.client.connect('SERVER');
    expect(made).toHaveLength(1);
    set.client.close();
    await turns(20);
    await set.harness.settled();
    expect(made[0]?.readyState).toBe(ReadyState.closed);
    expect(set.server.pendingHandshakes).toBe(0);
    expect(set.server.sessions.size).toBe(0);
    expect(made).toHaveLength(1);
  });
});

describe('in a page', () => {
  class Target {
    readonly listeners = new Map<string, Set<() => void>>();
    visibilityState = 'visible';
    addEventListener(name: string, listener: () => void): void {
      this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(listener));
    }
    removeEventListener(name: string, listener: () => void): void {
      this.listeners.get(name)?.delete(listener);
    }
    fire(name: string): void {
      for (const listener of this.listeners.get(name) ?? []) listener();
    }
    get count(): number {
      return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
    }
  }

  const page = { window: new Target(), document: new Target() };

  beforeEach(() => {
    page.window = new Target();
    page.document = new Target();
    Object.assign(globalThis, page);
  });

  afterEach(() => {
    Reflect.deleteProperty(globalThis, 'window');
    Reflect.deleteProperty(globalThis, 'document');
  });

  function client(options: { clock: VirtualClock }) {
    const dials: number[] = [];
    const transport = new WebSocketClientTransport(
      () => {
        dials.push(options.clock.now());
        throw new Error('offline');
      },
      'client-1',
      { clock: options.clock, baseIntervalMs: 10_000, maxJitterMs: 0 },
    );
    return { dials, transport, [Symbol.dispose]: () => transport.close() };
  }

  test('coming online and becoming visible end a backoff, becoming hidden does not', async () => {
    const clock = new VirtualClock(turns);
    using set = client({ clock });
    set.transport.connect('SERVER');
    await clock.advance(100);
    expect(set.dials).toHaveLength(1);
    page.window.fire('online');
    await clock.advance(0);
    expect(set.dials).toHaveLength(2);
    page.document.visibilityState = 'hidden';
    page.document.fire('visibilitychange');
    await clock.advance(0);
    expect(set.dials).toHaveLength(2);
    page.document.visibilityState = 'visible';
    page.document.fire('visibilitychange');
    await clock.advance(0);
    expect(set.dials).toHaveLength(3);
  });

  test('in a worker, which has no window, coming online ends a backoff as well', async () => {
    Reflect.deleteProperty(globalThis, 'window');
    Reflect.deleteProperty(globalThis, 'document');
    const worker = new Target();
    const methods = ['addEventListener', 'removeEventListener'] as const;
    const before = methods.map((name): unknown => Reflect.get(globalThis, name));
    for (const name of methods) Reflect.set(globalThis, name, worker[name].bind(worker));
    try {
      const clock = new VirtualClock(turns);
      using set = client({ clock });
      set.transport.connect('SERVER');
      await clock.advance(100);
      expect(worker.count).toBe(1);
      worker.fire('online');
      await clock.advance(0);
      expect(set.dials).toHaveLength(2);
      set.transport.close();
      expect(worker.count).toBe(0);
    } finally {
      for (const [index, name] of methods.entries()) {
        if (before[index] === undefined) Reflect.deleteProperty(globalThis, name);
        else Reflect.set(globalThis, name, before[index]);
      }
    }
  });

  test('nothing is listened to before the first dial, nor after close()', async () => {
    const clock = new VirtualClock(turns);
    using set = client({ clock });
    expect(page.window.count + page.document.count).toBe(0);
    set.transport.connect('SERVER');
    await clock.advance(30_000);
    // However many dials: one listener for each event.
    expect([page.window.count, page.document.count]).toEqual([1, 1]);
    set.transport.close();
    expect(page.window.count + page.document.count).toBe(0);
    page.window.fire('online');
    await clock.advance(60_000);
    expect(page.window.count + page.document.count).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
