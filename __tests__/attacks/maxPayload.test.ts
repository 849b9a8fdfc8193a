import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { JsonCodec } from '../../codec/index.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { WebSocketClientTransport } from '../../transport/impls/ws/client.ts';
import { WebSocketServerTransport } from '../../transport/impls/ws/server.ts';
import { messageOf, requestOf } from '../support/barePeer.ts';
import { type Services, services } from '../support/routerServices.ts';
import { TransportEventLog } from '../support/transportEvents.ts';
import { resolvesWhen } from './support/crowd.ts';
import { HonestCaller } from './support/honest.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { watchProcess } from './support/watch.ts';

/*
 * Of the table "Bad input and attacks": a message over the limit, where the limit is that of a `ws` server which the
 * application handed in and lower than `maxMessageBytes`. The frame never reaches the library. It would be sent again on
 * every connection, so the session ends (PROTOCOL.md, "Framing"); the limit of the library itself: frames.test.ts.
 */

const maxPayload = 5_000;
const tooLong = 'x'.repeat(20_000);

/** A `ws` server of the application, services on it, and an honest client who calls from beginning to end. */
async function openSite() {
  const watched = watchProcess();
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload });
  await new Promise((resolve) => wss.once('listening', resolve));
  const address = wss.address();
  const url = `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const transport = new WebSocketServerTransport(wss);
  const server = createServer(transport, services);
  const honest = new HonestCaller(new WebSocketClientTransport(() => new WebSocket(url), 'honest'), undefined);
  await honest.begin();
  return {
    url,
    wss,
    transport,
    events: new TransportEventLog(transport),
    async [Symbol.asyncDispose]() {
      try {
        await honest.expectNoticedNothing();
        expect(watched.seen).toEqual([]);
      } finally {
        await honest.end();
        await server.close();
        transport.close();
        for (const ws of wss.clients) ws.terminate();
        await new Promise((resolve) => wss.close(resolve));
        watched[Symbol.dispose]();
      }
    },
  };
}

async function dial(url: string) {
  const ws = new WebSocket(url);
  ws.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  await new Promise((resolve) => ws.once('open', resolve));
  return { ws, closed };
}

describe('over the maxPayload of a ws server that was handed in', () => {
  test('a message ends its session, with the close code of ws, and leaves no memory behind', async () => {
    await using site = await openSite();
    const round = async () => {
      for (const bytes of [maxPayload, 1024 * 1024, 16 * 1024 * 1024]) {
        const { ws, closed } = await dial(site.url);
        const answered = new Promise((resolve) => ws.once('message', resolve));
        ws.send(JsonCodec.toBuffer(requestOf()));
        await answered;
        ws.send(JsonCodec.toBuffer(messageOf({ payload: 'x'.repeat(bytes) })));
        expect(await closed).toBe(1009);
        await resolvesWhen(() => !site.transport.sessions.has('client-1'));
        expect(site.events.ends).toEqual(['protocol_violation']);
        expect(site.events.errors).toEqual([expect.objectContaining({ type: 'invalid_message', peer: 'client-1' })]);
        site.events.clear();
      }
    };
    await round();
    const before = await liveBytes();
    for (let n = 0; n < 3; n++) await round();
    await resolvesWhen(() => site.wss.clients.size === 1);
    await expectMemoryBack(before);
  });

  test('a first frame closes its connection, and makes no session', async () => {
    await using site = await openSite();
    const { ws, closed } = await dial(site.url);
    ws.send(JsonCodec.toBuffer(requestOf({ metadata: tooLong })));
    expect(await closed).toBe(1009);
    await resolvesWhen(() => site.transport.pendingHandshakes === 0);
    expect([...site.transport.sessions.keys()]).toEqual(['honest']);
  });

  test('a call of a client of the library fails once, and is not sent again for ever', async () => {
    await using site = await openSite();
    let dials = 0;
    const getter = () => {
      dials += 1;
      return new WebSocket(site.url);
    };
    const transport = new WebSocketClientTransport(getter, 'client-1', { baseIntervalMs: 1, maxJitterMs: 0 });
    const client = createClient<Services>(transport);
    const events = new TransportEventLog(transport);
    expect(await client.math.types.rpc('short')).toEqual({ ok: true, payload: 'short' });
    const beside = client.math.wait.rpc({});
    const failed = client.math.types.rpc(tooLong);
    expect(await failed).toMatchObject({ ok: false, payload: { code: 'UNEXPECTED_DISCONNECT' } });
    // What shares its session shares its fate, and is told so.
    expect(await beside).toMatchObject({ ok: false, payload: { code: 'UNEXPECTED_DISCONNECT' } });
    expect(await client.math.types.rpc('short again')).toEqual({ ok: true, payload: 'short again' });
    expect(events.ends).toEqual(['state_mismatch']);
    expect(site.events.ends).toEqual(['protocol_violation']);
    // The first connection, the one that heard of the mismatch, and the new session's.
    expect(dials).toBe(3);
    transport.close();
  });
});

test('a message over the maxPayload of a client’s own WebSocket ends its session once, too', async () => {
  await using site = await openSite();
  let dials = 0;
  const getter = () => {
    dials += 1;
    return new WebSocket(site.url, { maxPayload: 1_000 });
  };
  const transport = new WebSocketClientTransport(getter, 'client-1', { baseIntervalMs: 1, maxJitterMs: 0 });
  const client = createClient<Services>(transport);
  const events = new TransportEventLog(transport);
  expect(await client.math.types.rpc('x'.repeat(2_000))).toMatchObject({ payload: { code: 'UNEXPECTED_DISCONNECT' } });
  expect(await client.math.types.rpc('short')).toEqual({ ok: true, payload: 'short' });
  expect(events.ends).toEqual(['protocol_violation']);
  expect(dials).toBe(2);
  transport.close();
});
