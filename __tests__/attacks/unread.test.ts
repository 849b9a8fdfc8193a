import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/index.ts';
import { createClient } from '../../router/client.ts';
import { createServer } from '../../router/server.ts';
import { createHarness } from '../../testUtil/harness.ts';
import { HoldfastError } from '../../transport/errors.ts';
import type { SessionCore } from '../../transport/session/core.ts';
import { messageOf } from '../support/barePeer.ts';
import { type Services, services } from '../support/routerServices.ts';
import { TransportEventLog } from '../support/transportEvents.ts';
import { resolvesWhen } from './support/crowd.ts';
import { type DeafPeer, dialDeaf } from './support/deaf.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": a slow reader, as one that does not read its socket at all. What is sent to it
 * waits in the process: for the ledger until it is acknowledged, and for the socket until it is read. Somebody of ill
 * will acknowledges what was never read, so both count (session/core.ts, `bufferedBytes`).
 */

const MEBI = 1024 * 1024;
const maxSessionBufferBytes = 8 * MEBI;
const limits = { maxMessageBytes: 64 * 1024, maxSessionBufferBytes, sessionHighWaterBytes: 64 * 1024 };
/** Kept for closes, cancels and beats, beyond the limit. */
const RESERVE = 256 * 1024;

/** Calls that are answered with as much as they ask with. */
const CALLS = 400;
const payload = 'x'.repeat(60_000);

function coreOf(site: Site): SessionCore {
  const session = site.transport.sessions.get('client-1');
  if (session === undefined) throw new Error('expected a session of client-1');
  return session.core;
}

/** Asks for 24 MB, one answer after the other, and reads none of them. */
async function askForAnswers(site: Site, { peer }: DeafPeer, ackOf: (core: SessionCore) => number): Promise<number> {
  const core = coreOf(site);
  const names = { serviceName: 'math', procedureName: 'types' };
  let most = 0;
  for (let seq = 0; seq < CALLS; seq++) {
    peer.send(messageOf({ seq, ack: ackOf(core), streamId: `s${seq}`, controlFlags: 10, ...names, payload }));
    await resolvesWhen(() => core.ledger.ack > seq);
    most = Math.max(most, core.bufferedBytes);
  }
  return most;
}

const confirmations = [
  { says: 'nothing', ackOf: () => 0 },
  { says: 'what it has not read', ackOf: ({ ledger }: SessionCore) => ledger.nextSeq },
] as const;

describe.each(kinds)('a peer over %s that reads nothing more', (kind) => {
  test.each(confirmations)(
    'and acknowledges $says is refused by name, and costs what was allowed',
    async ({ ackOf }) => {
      await using site = await Site.open(kind, { server: limits });
      // Not the errors themselves: their stacks hold on to the calls, and a test must not be what keeps the memory.
      const refusals: unknown[] = [];
      site.transport.bindLogger(
        (_message, { error }) => refusals.push(error instanceof HoldfastError && error.code),
        'error',
      );
      const before = await liveBytes();
      using deaf = await dialDeaf(kind, site.address);
      await deaf.peer.handshake({ extensions: {} });
      deaf.stopReading();
      const most = await askForAnswers(site, deaf, ackOf);
      // Where nothing is acknowledged a Unix socket has a copy of what the ledger has, each as large as the limit.
      expect(most).toBeLessThanOrEqual(maxSessionBufferBytes + RESERVE);
      expect(await liveBytes()).toBeLessThan(before * 1.1 + 2 * (maxSessionBufferBytes + RESERVE));
      expect(refusals.length).toBeGreaterThan(CALLS / 4);
      expect(new Set(refusals)).toEqual(new Set(['SESSION_BUFFER_FULL']));
      // What ends its session needs no goodbye from it: the socket goes without having been read.
      deaf.peer.sendBytes(new Uint8Array([0]));
      await resolvesWhen(() => !site.transport.sessions.has('client-1'));
      await resolvesWhen(() => site.sockets.size === 1);
      await expectMemoryBack(before);
    },
    30_000,
  );

  test('and then goes on reading hears the named error, and the next call is served', async () => {
    await using site = await Site.open(kind, { server: limits });
    using deaf = await dialDeaf(kind, site.address);
    await deaf.peer.handshake({ extensions: {} });
    deaf.stopReading();
    await askForAnswers(site, deaf, () => 0);
    deaf.startReading();
    let { seq, controlFlags, payload: answer } = await deaf.peer.next();
    while (controlFlags !== 4) ({ seq, controlFlags, payload: answer } = await deaf.peer.next());
    expect(answer).toMatchObject({ ok: false, payload: { code: 'SESSION_BUFFER_FULL' } });
    await resolvesWhen(() => (site.transport.sessions.get('client-1')?.core.ledger.nextSeq ?? 0) >= CALLS);
    while (seq < CALLS - 1) ({ seq } = await deaf.peer.next());
    const names = { serviceName: 'math', procedureName: 'add' };
    const next = { seq: CALLS, ack: seq + 1, streamId: 'next', controlFlags: 10, ...names, payload: { n: 1 } };
    deaf.peer.send(messageOf(next));
    let message = await deaf.peer.next();
    while (message.streamId !== 'next') message = await deaf.peer.next();
    expect(message).toMatchObject({ payload: { ok: true, payload: { result: 1 } } });
  }, 30_000);

  test('and says nothing more is given up by its silence, and its session ends with the grace period', async () => {
    await using harness = await createHarness({ transport: kind, codec: JsonCodec });
    harness.holdsHandshakes = true;
    harness.losesMessages = true;
    const transport = harness.server({ ...limits, maxSessionBufferBytes: MEBI });
    const server = createServer(transport, services);
    const honest = createClient<Services>(harness.client({}, 'honest'));
    const first = honest.math.types.rpc('first');
    await harness.settled();
    expect(await first).toEqual({ ok: true, payload: 'first' });
    using deaf = await dialDeaf(kind, harness.link.address);
    await deaf.peer.handshake({ extensions: {} });
    const events = new TransportEventLog(transport);
    deaf.stopReading();
    const names = { serviceName: 'flow', procedureName: 'count' };
    for (let seq = 0; seq < 5; seq++)
      deaf.peer.send(messageOf({ seq, streamId: `s${seq}`, controlFlags: 10, ...names, payload: { to: 10_000 } }));
    await harness.settled();
    expect(coreBytes(transport.sessions.get('client-1')?.core)).toBeGreaterThan(MEBI - 1_000);
    // In steps that are shorter than the time a peer has for its goodbye: this one is not waited for.
    for (let step = 0; step < 10 && events.lines.length === 0; step++) await harness.advance(500);
    expect(events.lines).toEqual(['NoConnection']);
    // The honest client’s own connection, and the sockets of nobody else.
    expect(harness.link.openSockets()).toBe(1);
    await harness.advance(31_000);
    expect(events.ends).toEqual(['grace_elapsed']);
    const last = honest.math.types.rpc('last');
    await harness.settled();
    expect(await last).toEqual({ ok: true, payload: 'last' });
    await server.close();
  });
});

function coreBytes(core: SessionCore | undefined): number {
  return core?.bufferedBytes ?? 0;
}

describe('pings that are answered to a peer which reads nothing', () => {
  test.each(['before a handshake', 'in a session'])(
    '%s end its connection long before they cost memory',
    async (when) => {
      await using site = await Site.open('ws', { server: limits });
      const before = await liveBytes();
      using deaf = await dialDeaf('ws', site.address);
      if (when === 'in a session') await deaf.peer.handshake();
      deaf.stopReading();
      const bytes = new Uint8Array(125);
      let pings = 0;
      for (; pings < 1_000_000 && deaf.isOpen(); pings++) {
        deaf.ping(bytes);
        if (pings % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      expect(deaf.isOpen()).toBe(false);
      await resolvesWhen(() => site.sockets.size === 1);
      await expectMemoryBack(before);
      expect(site.transport.pendingHandshakes).toBe(0);
    },
    30_000,
  );
});
