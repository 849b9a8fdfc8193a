import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';

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
});
