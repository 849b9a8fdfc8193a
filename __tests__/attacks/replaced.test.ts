import { describe, expect, test } from 'vitest';
import { createHarness } from '../../testUtil/harness.ts';
import { matrix } from '../../testUtil/matrix.ts';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { Replaced } from '../../transport/replaced.ts';
import { TimerWheel } from '../../transport/wheel.ts';
import { BarePeer } from '../support/barePeer.ts';

/*
 * One client id that churns through sessions: the server remembers which of them were replaced, 16 of each client id and
 * each for the grace period (PROTOCOL.md, "Limits"). What the owner hears: transport/duplicateClient.test.ts.
 */

const MOST = 16;
const GRACE_MS = 30_000;

function setup() {
  const clock = new VirtualClock(async () => undefined);
  const wheel = new TimerWheel(clock, 100, (error) => {
    throw error;
  });
  return { clock, wheel, replaced: new Replaced(wheel, GRACE_MS) };
}

const nth = (n: number) => `session-${n}`;

describe('of the sessions of one client id that were replaced', () => {
  test('sixteen are remembered, and the seventeenth takes the place of the oldest', () => {
    const { wheel, replaced } = setup();
    const known = (upTo: number) =>
      Array.from({ length: upTo }, (_, n) => n).filter((n) => replaced.has('client', nth(n), 'alice'));
    for (let n = 0; n < MOST; n++) replaced.add('client', nth(n), 'alice');
    expect(known(MOST)).toEqual(Array.from({ length: MOST }, (_, n) => n));
    for (let n = MOST; n < 100; n++) {
      replaced.add('client', nth(n), 'alice');
      expect(known(n + 1)).toEqual(Array.from({ length: MOST }, (_, k) => n - MOST + 1 + k));
      // What is forgotten leaves no timer behind.
      expect(wheel.size).toBe(MOST);
    }
  });

  test('one that is replaced again and again is remembered once', () => {
    const { wheel, replaced } = setup();
    for (let n = 0; n < 100; n++) replaced.add('client', nth(n % 2), undefined);
    expect(wheel.size).toBe(2);
    for (const n of [0, 1]) expect(replaced.has('client', nth(n), undefined)).toBe(true);
  });

  test('each is forgotten after the grace period, and those of another client id are counted by themselves', async () => {
    const { clock, wheel, replaced } = setup();
    for (let n = 0; n < MOST; n++) replaced.add('client', nth(n), 'alice');
    await clock.advance(GRACE_MS / 2);
    for (let n = 0; n < MOST; n++) replaced.add('other', nth(n), 'alice');
    expect(wheel.size).toBe(2 * MOST);
    expect(replaced.has('client', nth(0), 'alice')).toBe(true);
    await clock.advance(GRACE_MS / 2 + 200);
    expect(wheel.size).toBe(MOST);
    expect(replaced.has('client', nth(MOST - 1), 'alice')).toBe(false);
    expect(replaced.has('other', nth(0), 'alice')).toBe(true);
    replaced.clear();
    expect([wheel.size, clock.pendingTimers]).toEqual([0, 0]);
  });
});

describe.each(matrix)('over $name', ({ transport, codec }) => {
  test('the owners of sixteen replaced sessions are told so, and the one before them is not', async () => {
    await using harness = await createHarness({ transport, codec });
    harness.holdsHandshakes = true;
    const server = harness.server();
    const ask = async (sessionId: string, state = { nextExpectedSeq: 0, nextSentSeq: 0 }) => {
      using peer = new BarePeer(await harness.link.dial('SERVER'), codec);
      return await peer.handshake({ sessionId, extensions: {}, state });
    };
    for (let n = 0; n <= MOST + 1; n++) expect(await ask(nth(n))).toMatchObject({ ok: true });
    // Numbers that begin nothing, so that whoever is not remembered is not taken for new either.
    const back = { nextExpectedSeq: 1, nextSentSeq: 1 };
    expect(await ask(nth(0), back)).toMatchObject({ code: 'SESSION_STATE_MISMATCH' });
    for (let n = 1; n <= MOST; n++) expect(await ask(nth(n), back)).toMatchObject({ code: 'SESSION_REPLACED' });
    expect(server.sessions.get('client-1')?.id).toBe(nth(MOST + 1));
  });
});
