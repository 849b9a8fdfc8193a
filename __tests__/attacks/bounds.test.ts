import { expect, test } from 'vitest';
import { WebSocketServerTransport } from '../../transport/impls/ws/server.ts';
import { messageOf, requestOf } from '../support/barePeer.ts';
import { PipeSocket } from '../support/pipeSocket.ts';
import { TransportEventLog } from '../support/transportEvents.ts';
import { resolvesWhen } from './support/crowd.ts';
import { type DeafPeer, dialDeaf } from './support/deaf.ts';
import { liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

const maxSessionBufferBytes = 8 * 1024 * 1024;
const limits = { maxMessageBytes: 64 * 1024, maxSessionBufferBytes, sessionHighWaterBytes: 64 * 1024 };
const call = { controlFlags: 10, serviceName: 'math', procedureName: 'types' };

test.each(kinds)(
  'a peer over %s that reads nothing and comes again and again costs what one session may',
  async (kind) => {
    await using site = await Site.open(kind, { server: limits });
    const peers: DeafPeer[] = [];
    const core = () => site.transport.sessions.get('client-1')?.core;
    const come = async (state = { nextExpectedSeq: 0, nextSentSeq: 0 }): Promise<DeafPeer> => {
      const peer = await dialDeaf(kind, site.address);
      peers.push(peer);
      peer.stopReading();
      const before = core()?.attachedOrdinal ?? -1;
      peer.peer.send(requestOf({ state }));
      await resolvesWhen(() => (core()?.attachedOrdinal ?? -1) > before);
      return peer;
    };
    const { peer } = await come();
    for (let seq = 0; seq < 200; seq++) {
      peer.send(messageOf({ seq, streamId: `s${seq}`, ...call, payload: 'x'.repeat(60_000) }));
      await resolvesWhen(() => (core()?.ledger.ack ?? 0) > seq);
    }
    const before = await liveBytes();
    for (let n = 0; n < 20; n++) await come({ nextExpectedSeq: 0, nextSentSeq: 200 });
    const grown = (await liveBytes()) - before;
    for (const one of peers) one[Symbol.dispose]();
    expect(grown).toBeLessThan(2 * maxSessionBufferBytes);
  },
  30_000,
);

test.each(kinds)(
  'small messages over %s that nobody reads cost less than twice the limit',
  async (kind) => {
    await using site = await Site.open(kind, { server: limits });
    using deaf = await dialDeaf(kind, site.address);
    await deaf.peer.handshake();
    deaf.stopReading();
    const core = site.transport.sessions.get('client-1')?.core;
    const before = await liveBytes();
    const counting = { controlFlags: 10, serviceName: 'flow', procedureName: 'count', payload: { to: 10_000 } };
    for (let seq = 0; seq < 10; seq++) {
      deaf.peer.send(messageOf({ seq, streamId: `s${seq}`, ...counting }));
      await resolvesWhen(() => (core?.ledger.ack ?? 0) > seq);
    }
    expect((await liveBytes()) - before).toBeLessThan(2 * maxSessionBufferBytes);
  },
  30_000,
);

test.each(kinds)(
  'a peer over %s whose calls cannot even be refused any more loses its session, and nobody else',
  async (kind) => {
    await using site = await Site.open(kind, { server: { ...limits, maxSessionBufferBytes: 256 * 1024 } });
    using deaf = await dialDeaf(kind, site.address);
    await deaf.peer.handshake({ extensions: {} });
    const events = new TransportEventLog(site.transport);
    deaf.stopReading();
    for (let seq = 0; seq < 4_000; seq++)
      deaf.peer.send(messageOf({ seq, streamId: `s${seq}`, ...call, payload: 'x'.repeat(2_000) }));
    await resolvesWhen(() => !site.transport.sessions.has('client-1'));
    expect(events.lines).toContain('closed session-1 buffer_full');
    await site.expectUnharmed();
  },
  30_000,
);

test.each(kinds)('the ids of a client over %s are bounded', async (kind) => {
  await using site = await Site.open(kind);
  for (const ids of [{ sessionId: 'x'.repeat(257) }, { from: 'x'.repeat(257) }]) {
    using peer = await site.dial();
    expect(await peer.handshake(ids)).toMatchObject({ ok: false, code: 'MALFORMED_HANDSHAKE' });
  }
  using peer = await site.dial();
  expect(await peer.handshake({ from: 'f'.repeat(256), sessionId: 's'.repeat(256) })).toMatchObject({ ok: true });
});

test('a WebSocket of a foreign page that was upgraded elsewhere is closed', () => {
  const transport = new WebSocketServerTransport(undefined, 'SERVER', { allowedOrigins: ['https://app.example'] });
  transport.accept(new PipeSocket(), { headers: { origin: 'https://evil.example' } });
  transport.accept(new PipeSocket(), { headers: { origin: ['https://app.example', 'https://evil.example'] } });
  expect(transport.pendingHandshakes).toBe(0);
  transport.accept(new PipeSocket(), { headers: { origin: 'https://app.example' } });
  transport.accept(new PipeSocket());
  expect(transport.pendingHandshakes).toBe(2);
  transport.close();
});
