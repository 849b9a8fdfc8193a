import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connect as connectClient } from '../../router/connect.ts';
import { isReadOnTheWay, openWebSocket } from '../../transport/impls/ws/defaultWebSocket.node.ts';

test.each([
  ['ws://127.0.0.1:80/', false],
  ['ws://127.255.1.2/', false],
  ['ws://127.1/', false],
  ['ws://LOCALHOST:8080/chat', false],
  ['http://localhost/', false],
  ['ws://[::1]:80/', false],
  ['wss://example.com/', false],
  ['https://example.com/', false],
  ['ws+unix:///run/app.sock:/chat', false],
  ['ws://example.com/', true],
  ['http://example.com/', true],
  ['ws://10.0.0.1/', true],
  ['ws://128.0.0.1/', true],
  ['ws://[::2]/', true],
  // Names that only begin or end like one of those.
  ['ws://127.0.0.1.example.com/', true],
  ['ws://localhost.example.com/', true],
  ['ws://notlocalhost/', true],
  ['ws://127.0.0.1@example.com/', true],
  // Loopback in other words, or some of the time: masked.
  ['ws://localhost./', true],
  ['ws://0.0.0.0/', true],
  ['ws://[::ffff:127.0.0.1]/', true],
])('%s: read on the way is %s', (url, isRead) => {
  expect(isReadOnTheWay(url)).toBe(isRead);
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const text = 'what a frame says in the clear';

/** A server that says yes to a WebSocket, and the first bytes that it then reads. */
async function listening(): Promise<{ port: number; read: Promise<Buffer> }> {
  const http = createServer();
  cleanups.push(() => http.close());
  const read = new Promise<Buffer>((resolve) => {
    http.on('upgrade', ({ headers }, socket: Socket) => {
      cleanups.push(() => socket.destroy());
      const key = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key.digest('base64')}\r\n\r\n`,
      );
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length >= 6 + text.length) resolve(bytes);
      });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo; // of TCP
  return { port, read };
}

/** The first frame, which says {@link text}, whatever host the URL speaks of. */
async function frameSentTo(origin: string): Promise<Buffer> {
  const { port, read } = await listening();
  const createConnection = () => connect(port, '127.0.0.1');
  const ws = openWebSocket(`${origin}:${port}/`, { createConnection: createConnection as typeof connect });
  ws.onopen = () => ws.send(new TextEncoder().encode(text));
  cleanups.push(() => ws.terminate());
  return read;
}

test.each(['ws://127.0.0.1', 'wss://example.com'])('a frame to %s is masked with zeros', async (origin) => {
  const frame = await frameSentTo(origin);
  expect(frame[1]).toBe(0x80 | text.length); // the bit that says so is set: a server refuses a frame without it
  expect([...frame.subarray(2, 6)]).toEqual([0, 0, 0, 0]);
  expect(frame.subarray(6).toString()).toBe(text);
});

test('a frame to another host in the clear is masked, with a key of its own each time', async () => {
  const frames = [await frameSentTo('ws://example.com'), await frameSentTo('ws://example.com')];
  for (const frame of frames) {
    expect(frame[1]).toBe(0x80 | text.length);
    expect(frame.subarray(6).toString()).not.toBe(text);
    const unmasked = frame.subarray(6).map((byte, i) => byte ^ (frame[2 + (i % 4)] ?? 0));
    expect(Buffer.from(unmasked).toString()).toBe(text);
  }
  expect(frames[0]?.subarray(2, 6)).not.toEqual(frames[1]?.subarray(2, 6));
});

test('so does `connect`', async () => {
  const { port, read } = await listening();
  const { close } = connectClient(`ws://127.0.0.1:${port}`, { clientId: 'a client that anybody could read' });
  cleanups.push(close);
  expect((await read).toString()).toContain('a client that anybody could read');
});
