import { describe, expect, test } from 'vitest';
import { resolvesWhen } from './support/crowd.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks": a credential valid for 30 days, an expired one. With virtual time, when exactly a
 * session is asked again and torn down: transport/rehandshake.test.ts; timers beyond 2^31 ms: transport/wheel.test.ts.
 * Here: the platform's timers, which fire at once where they overflow, and the process's warnings.
 */

const DAY_MS = 24 * 60 * 60 * 1_000;

const expiresOf = (metadata: object): number => ('expires' in metadata ? Number(metadata.expires) : Number.NaN);
const handshake = {
  checkMetadata: () => undefined,
  validate: (metadata: unknown) => metadata,
  expiry: expiresOf,
};

describe.each(kinds)('a credential over %s', (kind) => {
  const open = () =>
    Site.open(kind, {
      server: { handshakeTimeoutMs: 300 },
      handshake,
      honestMetadata: { expires: Date.now() + 365 * DAY_MS },
    });

  test.each([30, 24.85, 25, 365, 36_500, 100_000_000])(
    'valid for %d days is asked for again in none of its first calls',
    async (days) => {
      await using site = await open();
      const ends: string[] = [];
      site.transport.addEventListener('protocolError', ({ message }) => ends.push(message));
      using peer = await site.dial();
      const metadata = { expires: Math.min(Date.now() + days * DAY_MS, 8.64e15) };
      expect(await peer.handshake({ metadata })).toMatchObject({ ok: true });
      for (let n = 0; n < 20; n++) await site.honest.expectNoticedNothing();
      expect(peer.messages.filter(({ streamId }) => streamId === 'rehandshake')).toEqual([]);
      expect(site.transport.sessions.get('client-1')?.state).toBe('Connected');
      expect(ends).toEqual([]);
    },
  );

  test('that has expired, or expires at no time, is refused', async () => {
    await using site = await open();
    for (const expires of [0, -1, Date.now() - 1, Date.now() - 30 * DAY_MS, Number.NaN]) {
      using peer = await site.dial();
      const status = await peer.handshake({ metadata: { expires } });
      expect(status).toMatchObject({ ok: false, code: 'REJECTED_BY_CUSTOM_HANDLER' });
      expect(site.transport.sessions.has('client-1')).toBe(false);
    }
  });

  test('that expires in a session whose client does not answer ends that session', async () => {
    await using site = await open();
    const ends: string[] = [];
    site.transport.addEventListener('sessionStatus', (event) => {
      if (event.status === 'closed') ends.push(`${event.session.to} ${event.end.code}`);
    });
    using peer = await site.dial();
    expect(await peer.handshake({ metadata: { expires: Date.now() + 600 } })).toMatchObject({ ok: true });
    await peer.closed();
    await resolvesWhen(() => ends.length > 0);
    expect(ends).toEqual(['client-1 expired']);
    expect(peer.messages.some(({ streamId }) => streamId === 'rehandshake')).toBe(true);
  });
});
