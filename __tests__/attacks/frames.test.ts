import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { JsonCodec } from '../../codec/index.ts';
import { messageOf } from '../support/barePeer.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": a message over the limit, a compressed bomb, tiny fragments, pings; a length of
 * 0xFFFFFFFF. The limit to the byte: transport/badInput.test.ts. Its code 1009, pings before a handshake:
 * transport/webSocket.test.ts. Lengths without a server: transport/unixSocket.test.ts, "frames on a byte stream".
 */

const MEBI = 1024 * 1024;

/** A WebSocket that somebody of ill will holds, and the code it is closed with. */
async function connect(site: Site, options: { perMessageDeflate?: boolean } = {}) {
  const ws = new WebSocket(site.address, options);
  ws.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  await new Promise((resolve) => ws.once('open', resolve));
  return { ws, closed };
}

/** The bytes of one WebSocket frame, masked with zeros. */
function wsFrame(firstByte: number, payload: Uint8Array): Uint8Array {
  if (payload.length > 125) throw new Error('expected a short payload');
  return Buffer.concat([Buffer.from([firstByte, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** Upgrades by hand; returns the socket that follows. */
async function upgraded(site: Site) {
  const socket = await site.socket();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const answered = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  const lines = ['GET / HTTP/1.1', 'Host: site', 'Connection: Upgrade', 'Upgrade: websocket'];
  const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
  const offer = ['Sec-WebSocket-Extensions: permessage-deflate', '\r\n'];
  socket.write([...lines, ...key, ...offer].join('\r\n'));
  const head = String(await answered);
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => void heard.push(chunk));
  return { socket, closed, head, heard };
}

/** The code in the close frame at the end of what a server said. */
function closeCodeIn(heard: Buffer[]): number | undefined {
  const bytes = Buffer.concat(heard);
  const at = bytes.lastIndexOf(0x88);
  return at < 0 ? undefined : bytes.readUInt16BE(at + 2);
}

describe('on a WebSocket', () => {
  test('messages over the limit are closed with 1009, and leave no memory behind', async () => {
    await using site = await Site.open('ws');
    const round = async () => {
      for (const bytes of [MEBI + 1, 4 * MEBI, 16 * MEBI]) {
        const { ws, closed } = await connect(site);
        ws.send(Buffer.alloc(bytes, 0x7b));
        expect(await closed).toBe(1009);
      }
    };
    await round();
    const before = await liveBytes();
    for (let n = 0; n < 3; n++) await round();
    await expectMemoryBack(before);
    expect(site.transport.pendingHandshakes).toBe(0);
  });

  test('compression is not accepted, and a compressed frame is closed with 1002', async () => {
    await using site = await Site.open('ws');
    const { ws } = await connect(site, { perMessageDeflate: true });
    expect(ws.extensions).toBe('');
    ws.terminate();
    const { socket, closed, head, heard } = await upgraded(site);
    expect(head).toContain('101');
    expect(head.toLowerCase()).not.toContain('deflate');
    // FIN, RSV1, binary: 100 bytes that would be more.
    socket.write(wsFrame(0xc2, Buffer.alloc(100, 0x55)));
    await closed;
    expect(closeCodeIn(heard)).toBe(1002);
  });

  test.each([
    { what: 'of a byte each', continuation: wsFrame(0x00, Buffer.from('x')) },
    { what: 'of nothing', continuation: wsFrame(0x00, Buffer.alloc(0)) },
  ])('a million fragments $what are closed with 1008 long before they cost memory', async ({ continuation }) => {
    await using site = await Site.open('ws');
    const before = await liveBytes();
    const { socket, closed, heard } = await upgraded(site);
    const thousand = Buffer.concat(Array<Uint8Array>(1_000).fill(continuation));
    socket.write(wsFrame(0x02, Buffer.from('{')));
    for (let n = 0; n < 1_000 && !socket.destroyed; n++) {
      if (!socket.write(thousand))
        await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
    }
    await closed;
    expect([1008, undefined]).toContain(closeCodeIn(heard)); // undefined: a reset overtook the close frame
    await expectMemoryBack(before);
    expect(site.transport.pendingHandshakes).toBe(0);
  });

  test('100 000 pings in a session are answered or closed, and leave no memory behind', async () => {
    await using site = await Site.open('ws');
    const before = await liveBytes();
    const { ws, closed } = await connect(site);
    let pongs = 0;
    const last = new Promise<void>((resolve) => {
      ws.on('pong', () => {
        pongs += 1;
        if (pongs === 100_000) resolve();
      });
    });
    ws.send(JsonCodec.toBuffer(handshake));
    const payload = Buffer.alloc(125);
    for (let n = 0; n < 100_000; n++) {
      ws.ping(payload);
      if (n % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.race([last, closed]);
    ws.close();
    await closed;
    await expectMemoryBack(before);
  });
});

const expectedSessionState = { nextExpectedSeq: 0, nextSentSeq: 0 };
const handshake = messageOf({
  streamId: 'handshake',
  payload: { type: 'HANDSHAKE_REQ', protocolVersion: 'v2.0', sessionId: 'session-1', expectedSessionState },
});

describe('on a Unix socket', () => {
  test.each(['ffffffff', '80000000', '7fffffff', '00100001'])(
    'a length of 0x%s is refused before anything is allocated for it',
    async (hex) => {
      await using site = await Site.open('unix');
      const before = await liveBytes();
      for (let n = 0; n < 50; n++) {
        const socket = await site.socket();
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.resume();
        socket.write(Buffer.from(hex, 'hex'));
        await closed;
      }
      await expectMemoryBack(before);
      expect(site.transport.pendingHandshakes).toBe(0);
    },
  );

  test('the largest length and nothing more holds no memory', async () => {
    await using site = await Site.open('unix');
    const before = await liveBytes();
    const sockets = await Promise.all(Array.from({ length: 200 }, () => site.socket()));
    for (const socket of sockets) socket.write(Buffer.from('00100000', 'hex'));
    while (site.transport.pendingHandshakes < 200) await new Promise((resolve) => setImmediate(resolve));
    await site.expectUnharmed();
    // Allocated at once they would be 200 MiB.
    await expectMemoryBack(before);
    for (const socket of sockets) socket.destroy();
  });
});
