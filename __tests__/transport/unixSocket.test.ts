import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { Random } from '../../testUtil/sim/engine/random.ts';
import { UnixDomainSocketClientTransport, UnixSocketError } from '../../transport/impls/unix/client.ts';
import { FrameReader } from '../../transport/impls/unix/framing.ts';
import { listenOnUnixSocket, UnixDomainSocketServerTransport } from '../../transport/impls/unix/server.ts';
import { requestOf, statusOf } from '../support/barePeer.ts';
import { Bystander } from '../support/bystander.ts';
import { TransportEventLog } from '../support/transportEvents.ts';
import { withLength } from '../support/withLength.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-unix-'));
const servers: Server[] = [];
/** Seconds since 1970. */
const LONG_AGO = 1_000_000_000;

function freshPath(): string {
  return join(folder, `${randomUUID().slice(0, 8)}.sock`);
}

function makeServer(): Server {
  const server = createServer();
  servers.push(server);
  return server;
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(UnixSocketError);
    return error instanceof UnixSocketError ? error.code : undefined;
  }
  return 'succeeded';
}

afterEach(async () => {
  for (const server of servers.splice(0)) if (server.listening) await new Promise((resolve) => server.close(resolve));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('listening on a Unix socket', () => {
  test('makes the socket', async () => {
    const path = freshPath();
    await listenOnUnixSocket(makeServer(), path);
    expect(statSync(path).isSocket()).toBe(true);
  });

  test('is for one of three that begin over one file which was left behind', async () => {
    const random = new Random(1);
    for (let round = 0; round < 100; round++) {
      const path = freshPath();
      await leaveStaleSocket(path);
      utimesSync(path, LONG_AGO, LONG_AGO);
      const begin = async (server: Server) => {
        for (let turns = random.integer(0, 5); turns > 0; turns--)
          await new Promise((resolve) => setImmediate(resolve));
        return codeOf(listenOnUnixSocket(server, path));
      };
      const all = [makeServer(), makeServer(), makeServer()];
      expect((await Promise.all(all.map(begin))).sort()).toEqual(['IN_USE', 'IN_USE', 'succeeded']);
      const isHeard = Promise.race(all.map((server) => once(server, 'connection')));
      const dialled = createConnection(path);
      await isHeard;
      dialled.destroy();
      expect(readdirSync(folder).filter((name) => name.startsWith(basename(path)))).toEqual([basename(path)]);
    }
  });

  test('waits for somebody who is just replacing the file, and not for one who was killed while it did', async () => {
    const path = freshPath();
    await leaveStaleSocket(path);
    mkdirSync(`${path}.lock`);
    let isListening = false;
    const server = makeServer();
    const listening = listenOnUnixSocket(server, path).then(() => {
      isListening = true;
    });
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(isListening).toBe(false);
    utimesSync(`${path}.lock`, LONG_AGO, LONG_AGO);
    await listening;
    expect([server.listening, existsSync(`${path}.lock`)]).toEqual([true, false]);
  });

  test('leaves a file alone that somebody has bound and does not listen on yet', async () => {
    const path = freshPath();
    await leaveStaleSocket(path);
    const slow = makeServer();
    // As the file of somebody who is between the two: it is new, and refuses whoever asks first.
    const listening = codeOf(listenOnUnixSocket(makeServer(), path));
    while (!existsSync(`${path}.lock`)) await new Promise((resolve) => setImmediate(resolve));
    // It looks at the file and asks: as much takes longer here.
    for (let looks = 0; looks < 20; looks++) await stat(path);
    renameSync(path, `${path}.stale`);
    await new Promise<void>((resolve) => slow.listen(path, resolve));
    expect(await listening).toBe('IN_USE');
    expect(slow.listening).toBe(true);
  });

  test('replaces a socket file that a process which is gone left behind', async () => {
    const path = freshPath();
    await leaveStaleSocket(path);
    expect(statSync(path).isSocket()).toBe(true);
    const server = makeServer();
    await listenOnUnixSocket(server, path);
    expect(server.listening).toBe(true);
  });

  test('leaves a socket alone that somebody listens on', async () => {
    const path = freshPath();
    const first = makeServer();
    await listenOnUnixSocket(first, path);
    expect(await codeOf(listenOnUnixSocket(makeServer(), path))).toBe('IN_USE');
    const socket = createConnection(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
  });

  test('leaves alone what is no socket', async () => {
    const file = freshPath();
    writeFileSync(file, 'precious');
    expect(await codeOf(listenOnUnixSocket(makeServer(), file))).toBe('NOT_A_SOCKET');
    expect(statSync(file).size).toBe(8);
    const directory = freshPath();
    mkdirSync(directory);
    expect(await codeOf(listenOnUnixSocket(makeServer(), directory))).toBe('NOT_A_SOCKET');
  });

  test('refuses a path that the kernel would cut off, counted in bytes', async () => {
    const prefix = `${folder}/`;
    const longest = prefix + 'x'.repeat(107 - prefix.length);
    const server = makeServer();
    await listenOnUnixSocket(server, longest);
    expect(server.listening).toBe(true);
    expect(await codeOf(listenOnUnixSocket(makeServer(), `${longest}x`))).toBe('PATH_TOO_LONG');
    const umlauts = prefix + 'ü'.repeat(Math.ceil((108 - prefix.length) / 2));
    expect(umlauts.length).toBeLessThan(107);
    expect(await codeOf(listenOnUnixSocket(makeServer(), umlauts))).toBe('PATH_TOO_LONG');
  });

  test('says so where there is no such folder', async () => {
    expect(await codeOf(listenOnUnixSocket(makeServer(), join(folder, 'missing', 'x.sock')))).toBe('NO_SOCKET');
  });

  test.skipIf(process.geteuid === undefined)('says so where permission is denied', async () => {
    const locked = join(folder, 'locked');
    mkdirSync(locked, { mode: 0o555 });
    await withoutPrivileges(async () => {
      expect(await codeOf(listenOnUnixSocket(makeServer(), join(locked, 'x.sock')))).toBe('PERMISSION_DENIED');
    });
  });
});

describe('dialling a Unix socket', () => {
  /** What the first dial to `path` fails with. */
  async function errorOfDial(path: string): Promise<unknown> {
    const seen: unknown[] = [];
    const client = new UnixDomainSocketClientTransport(path, 'client-1', {
      isFatalConnectionError: (error) => {
        seen.push(error);
        return true;
      },
    });
    const ended = new Promise<void>((resolve) => {
      client.addEventListener('sessionStatus', ({ status }) => status === 'closed' && resolve());
    });
    client.connect('SERVER');
    await ended;
    client.close();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toBeInstanceOf(UnixSocketError);
    expect(seen[0]).toMatchObject({ message: expect.stringContaining(path), cause: expect.any(Error) });
    return seen[0] instanceof UnixSocketError ? seen[0].code : undefined;
  }

  test('where there is no socket', async () => {
    expect(await errorOfDial(freshPath())).toBe('NO_SOCKET');
  });

  test('where nobody listens any more', async () => {
    const path = freshPath();
    await leaveStaleSocket(path);
    expect(await errorOfDial(path)).toBe('NOBODY_LISTENS');
  });

  test('where there is something else', async () => {
    const path = freshPath();
    writeFileSync(path, '');
    // The kernel itself does not tell a file from a socket that nobody listens on.
    expect(await errorOfDial(path)).toMatch(/^(NOT_A_SOCKET|NOBODY_LISTENS)$/);
  });

  test('on a path that is too long is refused at construction', () => {
    expect(() => new UnixDomainSocketClientTransport(`/${'x'.repeat(107)}`)).toThrow(UnixSocketError);
    expect(() => new UnixDomainSocketClientTransport(`/${'x'.repeat(106)}`)).not.toThrow();
  });

  test.skipIf(process.geteuid === undefined)('where permission is denied', async () => {
    const path = freshPath();
    const server = makeServer();
    await listenOnUnixSocket(server, path);
    chmodSync(path, 0o600);
    await withoutPrivileges(async () => {
      expect(await errorOfDial(path)).toBe('PERMISSION_DENIED');
    });
  });
});

describe('frames on a byte stream', () => {
  const bodies = [new Uint8Array([1, 2, 3]), new Uint8Array(0), new Uint8Array(300).fill(7), new Uint8Array([9])];
  const stream = Buffer.concat(bodies.map(withLength));

  function read(chunks: Uint8Array[], maxMessageBytes = 1_000): number[][] {
    const frames: number[][] = [];
    const reader = new FrameReader(maxMessageBytes, (frame) => frames.push([...frame]));
    for (const chunk of chunks) reader.push(chunk);
    return frames;
  }

  test('begin with their length, big-endian', () => {
    expect([...withLength(new Uint8Array([5, 6]))]).toEqual([0, 0, 0, 2, 5, 6]);
    expect([...withLength(new Uint8Array(0x01_02_03)).subarray(0, 4)]).toEqual([0, 1, 2, 3]);
  });

  test('come out whole wherever the stream is cut in two', () => {
    const expected = bodies.map((body) => [...body]);
    for (let at = 0; at <= stream.length; at++)
      expect(read([stream.subarray(0, at), stream.subarray(at)])).toEqual(expected);
  });

  test('come out whole byte by byte, and in random pieces', () => {
    const expected = bodies.map((body) => [...body]);
    expect(read([...stream].map((byte) => new Uint8Array([byte])))).toEqual(expected);
    const random = new Random(1);
    for (let n = 0; n < 200; n++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < stream.length; ) {
        const size = random.integer(1, 40);
        chunks.push(stream.subarray(at, at + size));
        at += size;
      }
      expect(read(chunks)).toEqual(expected);
    }
  });

  test('that are not whole yet are kept', () => {
    expect(read([stream.subarray(0, stream.length - 1)])).toHaveLength(3);
    expect(read([new Uint8Array([0, 0, 0])])).toEqual([]);
  });

  test('of a length over the limit are refused as soon as the length is known, and nothing is allocated for them', () => {
    for (const prefix of [
      [0xff, 0xff, 0xff, 0xff],
      [0x80, 0, 0, 0],
      [0, 0, 3, 233],
    ]) {
      const before = process.memoryUsage();
      expect(() => read([new Uint8Array(prefix)])).toThrow(/1000/);
      expect(() => read(prefix.map((byte) => new Uint8Array([byte])))).toThrow(/1000/);
      expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(1_000_000);
    }
    expect(read([new Uint8Array([0, 0, 3, 232])])).toEqual([]);
  });

  test('of a length that never comes cost nothing before their bytes are there', () => {
    const reader = new FrameReader(2 ** 31, () => undefined);
    const before = process.memoryUsage();
    reader.push(new Uint8Array([0x7f, 0xff, 0xff, 0xff]));
    reader.push(new Uint8Array(10));
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(1_000_000);
  });
});

describe('a server on a Unix socket', () => {
  async function setup() {
    const harness = await createHarness({ transport: 'unix', codec: JsonCodec });
    harness.holdsHandshakes = true;
    const bystander = await Bystander.join(harness);
    const events = new TransportEventLog(bystander.server);
    const dial = async () => {
      const socket = createConnection(harness.link.address);
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.on('error', () => undefined);
      return socket;
    };
    return { harness, bystander, events, dial, [Symbol.asyncDispose]: () => bystander[Symbol.asyncDispose]() };
  }

  function framesOf(socket: Socket): { next(): Promise<Uint8Array> } {
    const frames: Uint8Array[] = [];
    let wake: () => void = () => undefined;
    const reader = new FrameReader(1_000_000, (frame) => {
      frames.push(frame);
      wake();
    });
    socket.on('data', (chunk: Uint8Array) => reader.push(chunk));
    return {
      async next() {
        for (;;) {
          const frame = frames.shift();
          if (frame !== undefined) return frame;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    };
  }

  const closed = (socket: Socket) =>
    new Promise((resolve) => (socket.closed ? resolve(0) : socket.once('close', resolve)));

  test('takes a handshake that is cut at any byte', async () => {
    await using set = await setup();
    const frame = withLength(JsonCodec.toBuffer(requestOf()));
    for (const at of [1, 2, 3, 4, 5, 100, frame.length - 1]) {
      const socket = await set.dial();
      const frames = framesOf(socket);
      socket.write(frame.subarray(0, at));
      await set.harness.settled();
      socket.write(frame.subarray(at));
      const answer = JsonCodec.fromBuffer(await frames.next());
      expect(statusOf(answer as never)).toMatchObject({ ok: true });
      socket.destroy();
    }
    await set.bystander.expectUndisturbed();
  });

  test.each([
    { what: 'a length of 0xFFFFFFFF', bytes: new Uint8Array([0xff, 0xff, 0xff, 0xff]) },
    { what: 'a request in HTTP', bytes: new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n') },
    { what: 'an empty frame', bytes: new Uint8Array([0, 0, 0, 0]) },
    { what: 'a frame of garbage', bytes: new Uint8Array([0, 0, 0, 2, 0xc1, 0xc1]) },
  ])('closes a connection that begins with $what, and nobody notices', async ({ bytes }) => {
    await using set = await setup();
    const socket = await set.dial();
    socket.resume();
    socket.write(bytes);
    await closed(socket);
    await set.harness.settled();
    expect(set.bystander.server.pendingHandshakes).toBe(0);
    await set.bystander.expectUndisturbed();
  });

  test('ends the session over a length of 0xFFFFFFFF in its midst', async () => {
    await using set = await setup();
    const socket = await set.dial();
    const frames = framesOf(socket);
    socket.write(withLength(JsonCodec.toBuffer(requestOf())));
    await frames.next();
    set.events.clear();
    socket.write(new Uint8Array([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    await closed(socket);
    await set.harness.settled();
    expect(set.events.ends).toEqual(['protocol_violation']);
    await set.bystander.expectUndisturbed();
  });

  test('takes a half-open peer’s end for the end: the session waits for it to come back', async () => {
    await using set = await setup();
    const socket = await set.dial();
    const frames = framesOf(socket);
    socket.write(withLength(JsonCodec.toBuffer(requestOf())));
    await frames.next();
    socket.end();
    await closed(socket);
    await set.harness.settled();
    expect(set.bystander.server.sessions.get('client-1')?.state).toBe('NoConnection');
  });

  test('does not keep the socket of a peer that does not say goodbye', async () => {
    await using harness = await createHarness({ transport: 'unix', codec: JsonCodec });
    const server = harness.server();
    const socket = createConnection({ path: harness.link.address, allowHalfOpen: true });
    await new Promise((resolve) => socket.once('connect', resolve));
    const frames = framesOf(socket);
    socket.write(withLength(JsonCodec.toBuffer(requestOf())));
    await frames.next();
    expect(harness.link.openSockets()).toBe(1);
    server.close();
    await harness.settled();
    await harness.advance(1_000);
    const left = harness.link.openSockets();
    socket.destroy();
    expect(left).toBe(0);
  });

  test('leaves the net server listening, and itself off it, when it is closed', async () => {
    const path = freshPath();
    const netServer = makeServer();
    await listenOnUnixSocket(netServer, path);
    const before = netServer.listenerCount('connection');
    const transport = new UnixDomainSocketServerTransport(netServer);
    expect(netServer.listenerCount('connection')).toBe(before + 1);
    transport.close();
    expect(netServer.listenerCount('connection')).toBe(before);
    expect(netServer.listening).toBe(true);
  });
});

/** A socket file whose process is gone. */
async function leaveStaleSocket(path: string): Promise<void> {
  const live = `${path}.live`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(live, resolve));
  // Closing removes the file it was told of, not the name it has now.
  renameSync(live, path);
  await new Promise((resolve) => server.close(resolve));
}

/** Runs as nobody in particular where the tests run as root: to root nothing is denied. */
async function withoutPrivileges(fn: () => Promise<void>): Promise<void> {
  const uid = process.geteuid?.();
  if (uid !== 0) return fn();
  process.seteuid?.(65_534);
  try {
    await fn();
  } finally {
    process.seteuid?.(0);
  }
}
