import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import type { StreamOpener } from '../../transport/stream.ts';
import { BarePeer } from '../support/barePeer.ts';
import { Recorder } from '../support/ports.ts';

/** Takes what arrives and says nothing: not even an acknowledgement leaves before a heartbeat does. */
function silently(arrived: unknown[]): StreamOpener {
  return { onUnclaimedMessage: (_port, { payload }) => void arrived.push(payload), onSessionEnded: () => undefined };
}

const token = 'a-token-of-twenty-four-chars';

describe.each(matrix)('the resume extension over $name', ({ transport, codec }) => {
  const setup = () => createHarness({ transport, codec });
  const request = (resume: object) => ({ sessionId: 'session-x', extensions: { resume } });

  test.each([
    { resume: true, arrivals: 1, ends: ['state_mismatch'] },
    // River's limit: both counters are still 0, so nothing tells a lost session from a new one.
    { resume: false, arrivals: 2, ends: [] },
  ])('a server that restarts before it confirmed anything: $resume', async ({ resume, arrivals, ends }) => {
    await using harness = await setup();
    const arrived: unknown[] = [];
    const first = harness.server();
    first.bindOpener(silently(arrived));
    const client = harness.client({ extensions: { resume } });
    const call = new Recorder(client.openSession('SERVER'), 's1');
    await harness.settled();
    call.open(1);
    await harness.settled();
    expect(arrived).toEqual([1]);
    harness.link.setReachable(false);
    harness.link.cut();
    await harness.settled();
    first.close();
    harness.server().bindOpener(silently(arrived));
    harness.link.setReachable(true);
    await harness.advance(2_000);
    expect(arrived).toHaveLength(arrivals);
    expect(call.ends).toEqual(ends);
    expect(client.findSession('SERVER')?.isConnected).toBe(true);
    call.end();
  });

  test.each([
    { resume: true, again: 0 },
    { resume: false, again: 1 },
  ])(
    'what has arrived unconfirmed is sent again only where the server cannot say so: $resume',
    async ({ resume, again }) => {
      await using harness = await setup();
      const arrived: unknown[] = [];
      harness.server().bindOpener(silently(arrived));
      const client = harness.client({ extensions: { resume } });
      const call = new Recorder(client.openSession('SERVER'), 's1');
      await harness.settled();
      call.open(1);
      await harness.settled();
      const resent: number[] = [];
      client.addEventListener('sessionTransition', (event) => {
        if (event.state === 'Connected') resent.push(event.resent);
      });
      harness.link.cut();
      await harness.advance(1_000);
      expect(resent).toEqual([again]);
      expect(arrived).toEqual([1]);
      expect(call.ends).toEqual([]);
      call.end();
    },
  );

  test('a session is resumed with its token, and answered with where the server stands', async () => {
    await using harness = await setup();
    harness.server();
    using first = new BarePeer(await harness.link.dial('SERVER'), codec);
    const status = await first.handshake(request({ token, everConnected: false, nextSeq: 0 }));
    expect(status).toMatchObject({
      ok: true,
      extensions: { resume: { instance: expect.any(String), nextExpectedSeq: 0, oldestUnackedSeq: 0, nextSeq: 0 } },
    });
    using second = new BarePeer(await harness.link.dial('SERVER'), codec);
    expect(await second.handshake(request({ token, everConnected: true, nextSeq: 0 }))).toMatchObject({ ok: true });
  });

  test.each([
    ['without the extension', {}],
    ['with another token', { resume: { token: 'x'.repeat(24), everConnected: false, nextSeq: 0 } }],
    ['by whoever spoke to another instance', { resume: { token, everConnected: true, instance: 'other', nextSeq: 0 } }],
  ])('a session is not resumed %s, and goes on undisturbed', async (_how, extensions) => {
    await using harness = await setup();
    const server = harness.server();
    using owner = new BarePeer(await harness.link.dial('SERVER'), codec);
    await owner.handshake(request({ token, everConnected: false, nextSeq: 0 }));
    const session = server.sessions.get('client-1');
    using other = new BarePeer(await harness.link.dial('SERVER'), codec);
    const status = await other.handshake({ sessionId: 'session-x', extensions });
    expect(status).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
    expect(server.sessions.get('client-1')).toBe(session);
    expect(session?._isConsumed).toBe(false);
  });

  test.each([
    ['too short a token', { token: 'short', everConnected: false, nextSeq: 0 }],
    ['too long a token', { token: 'x'.repeat(257), everConnected: false, nextSeq: 0 }],
    ['no word on whether it was connected', { token, nextSeq: 0 }],
    ['a fraction of a number', { token, everConnected: false, nextSeq: 0.5 }],
    ['an instance that is no string', { token, everConnected: true, instance: 5, nextSeq: 0 }],
  ])('an offer with %s is malformed', async (_what, resume) => {
    await using harness = await setup();
    harness.server();
    using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
    expect(await peer.handshake(request(resume))).toMatchObject({ ok: false, code: 'MALFORMED_HANDSHAKE' });
  });
});
