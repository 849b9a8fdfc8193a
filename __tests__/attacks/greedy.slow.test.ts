import { expect, test } from 'vitest';
import { createClient } from '../../router/client.ts';
import { BufferBudget } from '../../transport/budget.ts';
import type { ClientTransport } from '../../transport/client.ts';
import { messageOf } from '../support/barePeer.ts';
import type { Services } from '../support/routerServices.ts';
import { resolvesWhen } from './support/crowd.ts';
import { type DeafPeer, dialDeaf } from './support/deaf.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": slow readers, many at once. Subscriptions whose reader stops, subscriptions whose writer
 * ignores that, and clients that do not read their socket, a thousand of each. What latency healthy sessions have meanwhile
 * is measured by `npm run load`.
 */

const EACH = 1_000;
const MEBI = 1024 * 1024;
const budget = new BufferBudget(64 * MEBI);

/** More than a stream may keep: a writer that does not heed its reader is refused. */
const ITEMS = 10_000;
/** Less than that, and more than the reader's window. */
const FEWER_ITEMS = 2_000;
/** Each of them, on a client: small, because all of them live in this process, too. */
const WINDOW = 8 * 1024;

/** Does `work` so many times, some at a time. */
async function inWaves<T>(count: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  while (done.length < count)
    done.push(...(await Promise.all(Array.from({ length: Math.min(100, count - done.length) }, (_, n) => work(n)))));
  return done;
}

/** A client that subscribes and does not read. */
async function subscriber(site: Site, to: number): Promise<ClientTransport> {
  const transport = site.client({ readableHighWaterBytes: WINDOW, budget: new BufferBudget(MEBI) });
  const client = createClient<Services>(transport);
  client.flow.count.subscribe({ to });
  // It is answered, if only that there is no room for an answer.
  const answer = await client.math.add.rpc({ n: 1 });
  if (!answer.ok) expect(answer.payload.code).toBe('SESSION_BUFFER_FULL');
  return transport;
}

/** A client that asks for much, and reads nothing. */
async function deaf(site: Site, n: number): Promise<DeafPeer> {
  const peer = await dialDeaf('ws', site.address);
  const from = `deaf-${n}-${Math.random()}`;
  expect(await peer.peer.handshake({ from, sessionId: from, extensions: {} })).toMatchObject({ ok: true });
  peer.stopReading();
  for (let seq = 0; seq < 20; seq++) {
    const names = { serviceName: 'math', procedureName: 'types' };
    const payload = 'x'.repeat(20_000);
    peer.peer.send(messageOf({ from, seq, streamId: `s${seq}`, controlFlags: 10, ...names, payload }));
  }
  return peer;
}

/** So many of each at once. They are gone afterwards; returns what they cost. */
async function besiege(site: Site, each: number): Promise<{ heldBytes: number; liveBytes: number }> {
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, budget.heldBytes);
  }, 5);
  const stopped = await inWaves(each, () => subscriber(site, FEWER_ITEMS));
  const ignored = await inWaves(each, () => subscriber(site, ITEMS));
  const silent = await inWaves(each, (n) => deaf(site, n));
  await site.expectUnharmed();
  clearInterval(watch);
  const cost = { heldBytes: Math.max(most, budget.heldBytes), liveBytes: await liveBytes() };
  for (const transport of [...stopped, ...ignored]) transport.close();
  // What ends a session needs no goodbye from a peer that does not read.
  for (const { peer } of silent) peer.sendBytes(new Uint8Array([0]));
  await resolvesWhen(() => site.transport.sessions.size <= 1 + 2 * each);
  for (const peer of silent) peer[Symbol.dispose]();
  await resolvesWhen(() => site.sockets.size <= 1 && site.transport.sessions.size === 1);
  return cost;
}

test('three thousand that do not read cost no more than the budget, and somebody who does is served', async () => {
  await using site = await Site.open('ws', {
    // That the silent are given up, and those who left are forgotten, is another matter.
    server: { budget, maxStreamBufferBytes: MEBI, heartbeatIntervalMs: 60_000, sessionDisconnectGraceMs: 10_000 },
  });
  // Once before it is measured: what so much traffic makes the engine compile is 2 MB, and stays.
  await besiege(site, EACH);
  const before = await liveBytes();
  const cost = await besiege(site, EACH);
  // It was needed, and it was enough.
  expect(cost.heldBytes).toBeGreaterThan(budget.maxBytes / 2);
  expect(cost.heldBytes).toBeLessThanOrEqual(budget.maxBytes);
  // What is held costs what is counted for it, and three thousand connections with both their ends are in this process.
  expect(cost.liveBytes).toBeLessThan(before + 1.2 * budget.maxBytes + 3 * EACH * 40_000);
  await expectMemoryBack(before);
  expect(budget.heldBytes).toBeLessThan(MEBI);
}, 240_000);
