import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { crowd, dripping, resolvesWhen } from './support/crowd.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": silent connections; a byte a second. 10 000 of them: connections.slow.test.ts.
 * With virtual time, the timeout to the millisecond: transport/handshakeValidation.test.ts, "pending handshakes".
 */

const handshakeTimeoutMs = 300;

describe.each(kinds)('connections over %s', (kind) => {
  test('that stay silent are capped, and closed at the handshake timeout', async () => {
    await using site = await Site.open(kind, { server: { handshakeTimeoutMs, maxPendingHandshakes: 50 } });
    const silent = await crowd(site, 200);
    await Promise.all(silent.map(({ closed }) => closed));
    expect(site.transport.pendingHandshakes).toBe(0);
    await resolvesWhen(() => site.sockets.size === 1);
  });

  test('that are at the cap leave a server that serves whom it knows, and lets others in afterwards', async () => {
    await using site = await Site.open(kind, { server: { handshakeTimeoutMs, maxPendingHandshakes: 50 } });
    const silent = await crowd(site, 50);
    await resolvesWhen(() => site.transport.pendingHandshakes === 50);
    using refused = await site.dial();
    await refused.closed();
    expect(refused.messages).toEqual([]);
    await site.honest.expectNoticedNothing();
    await Promise.all(silent.map(({ closed }) => closed));
    using welcome = await site.dial();
    expect(await welcome.handshake()).toMatchObject({ ok: true });
  });

  test('that send a byte now and then, for ever, are closed at the handshake timeout all the same', async () => {
    await using site = await Site.open(kind, { server: { handshakeTimeoutMs } });
    const startedAt = performance.now();
    const slow = await crowd(site, 50);
    using _drip = dripping(
      slow.map(({ socket }): Socket => socket),
      kind,
      20,
    );
    await Promise.all(slow.map(({ closed }) => closed));
    // What a frame's bytes prove is no handshake: they do not begin its time anew.
    expect(performance.now() - startedAt).toBeLessThan(handshakeTimeoutMs * 10);
    expect(site.transport.pendingHandshakes).toBe(0);
  });
});
