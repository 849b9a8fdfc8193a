import { describe, expect, test } from 'vitest';
import { crowd, dripping, resolvesWhen } from './support/crowd.ts';
import { expectMemoryBack, liveBytes } from './support/memory.ts';
import { kinds, Site } from './support/site.ts';

/** Both ends live in this process, and many systems let one have 20 000 files: a socket costs two, so in two waves. */
const WAVES = [8_000, 2_000];

describe.each(kinds)('ten thousand connections over %s', (kind) => {
  test('that are silent, or send a byte a second, are capped and closed at the timeout', async () => {
    const maxPendingHandshakes = 6_000;
    await using site = await Site.open(kind, { server: { handshakeTimeoutMs: 5_000, maxPendingHandshakes } });
    const wave = async (size: number) => {
      const connections = await crowd(site, size);
      const slow = connections.filter((_one, n) => n % 10 === 0).map(({ socket }) => socket);
      using _drip = dripping(slow, kind, 1_000);
      expect(site.transport.pendingHandshakes).toBeLessThanOrEqual(maxPendingHandshakes);
      await site.honest.expectNoticedNothing();
      await Promise.all(connections.map(({ closed }) => closed));
      expect(site.transport.pendingHandshakes).toBe(0);
      await resolvesWhen(() => site.sockets.size === 1);
    };
    // What the platform keeps for connections in general is there before it is measured.
    await wave(1_000);
    const before = await liveBytes();
    for (const size of WAVES) await wave(size);
    await expectMemoryBack(before);
  }, 180_000);
});
