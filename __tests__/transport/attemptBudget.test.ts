import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { ClientTransport } from '../../transport/client.ts';

describe.each(matrix)('a client with a budget of attempts over $name', ({ transport, codec }) => {
  test('gives up on a server whose connections do not hold, and starts over when it is asked to', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server();
    const client = harness.client({ attemptBudgetCapacity: 3 });
    const errors: string[] = [];
    const ends: string[] = [];
    client.addEventListener('protocolError', ({ type }) => errors.push(type));
    client.addEventListener('sessionStatus', (event) => {
      if (event.status === 'closed') ends.push(event.end.code);
    });
    client.connect('SERVER');
    for (let drops = 0; drops < 3; drops++) {
      await harness.settled();
      expect(client.findSession('SERVER')?.isConnected).toBe(true);
      harness.link.cut();
      await harness.advance(1_500);
    }
    expect(errors).toEqual(['conn_retry_exceeded']);
    expect(ends).toEqual(['retries_exceeded']);
    await harness.advance(120_000);
    expect(client.sessions.size).toBe(0);
    client.connect('SERVER');
    await harness.advance(1_500);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
  });

  function watch(client: ClientTransport): { errors: string[]; ends: string[] } {
    const errors: string[] = [];
    const ends: string[] = [];
    client.addEventListener('protocolError', ({ type }) => errors.push(type));
    client.addEventListener('sessionStatus', (event) => {
      if (event.status === 'closed') ends.push(event.end.code);
    });
    return { errors, ends };
  }

  test.each(['protocolError', 'sessionStatus'] as const)(
    'that is used up begins anew for whoever connects when they hear of it (%s)',
    async (event) => {
      await using harness = await createHarness({ transport, codec });
      const client = harness.client({ attemptBudgetCapacity: 2 });
      harness.server();
      harness.link.setReachable(false);
      const again = () => {
        harness.link.setReachable(true);
        client.connect('SERVER');
      };
      if (event === 'protocolError') client.addEventListener(event, again);
      else client.addEventListener(event, ({ status }) => (status === 'closed' ? again() : undefined));
      client.connect('SERVER');
      await harness.advance(60_000);
      expect(client.findSession('SERVER')?.isConnected).toBe(true);
    },
  );

  test('that is used up by refusals is said to be with the last of them, and nothing is dialled again', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server({ maxSessions: 1 });
    harness.client({}, 'first').connect('SERVER');
    await harness.settled();
    const client = harness.client({ attemptBudgetCapacity: 2 }, 'second');
    const { errors, ends } = watch(client);
    client.connect('SERVER');
    await harness.settled();
    await harness.advance(120_000);
    expect(errors).toEqual(['handshake_failed', 'handshake_failed', 'conn_retry_exceeded']);
    expect(ends).toEqual(['state_mismatch', 'retries_exceeded']);
  });

  test('that is used up by connections that do not hold ends, also where sessions do with their connections', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.server();
    const client = harness.client({ attemptBudgetCapacity: 3, enableTransparentSessionReconnects: false });
    const { errors, ends } = watch(client);
    client.connect('SERVER');
    for (let drops = 0; drops < 6; drops++) {
      await harness.settled();
      harness.link.cut();
      await harness.advance(1_500);
    }
    expect(errors).toEqual(['conn_retry_exceeded']);
    expect(ends).toEqual(['closed_locally', 'closed_locally', 'retries_exceeded']);
    expect(client.sessions.size).toBe(0);
  });

  test('is not used up by a server that begins anew: a session that had worked is followed by another at once', async () => {
    await using harness = await createHarness({ transport, codec });
    const first = harness.server();
    const client = harness.client({ attemptBudgetCapacity: 100 });
    const { ends } = watch(client);
    client.connect('SERVER');
    await harness.settled();
    await harness.advance(11_000);
    harness.link.setReachable(false);
    harness.link.cut();
    await harness.advance(20_000);
    first.close();
    await harness.settled();
    harness.server();
    harness.link.setReachable(true);
    // The next dial comes when the backoff says so; what it hears, and what follows, within two jitters.
    for (let ms = 0; ms < 10_000 && ends.length === 0; ms += 100) await harness.advance(100);
    expect(ends).toEqual(['state_mismatch']);
    await harness.advance(300);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
  });
});
