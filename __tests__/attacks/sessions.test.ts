import { describe, expect, test } from 'vitest';
import { messageOf } from '../support/barePeer.ts';
import { kinds, Site } from './support/site.ts';

/*
 * Of the table "Bad input and attacks":
 * - foreign `Origin`: transport/webSocket.test.ts, "origins"; here under a flood, with an honest client.
 * - somebody else's ids, no extensions for a session with `resume`, a late dial: rule by rule over every transport in
 *   transport/handshakeTable.test.ts and resumeExtension.test.ts; here against an honest client of the library.
 * - impossible `ack`: every value of every field in transport/badInput.test.ts; here over real sockets.
 */

const token = 'a-token-of-twenty-four-chars';

describe.each(kinds)('somebody else over %s', (kind) => {
  const user = (metadata: unknown) => metadata as { user: string }; // checkMetadata has looked
  const handshake = {
    checkMetadata: (metadata: unknown) =>
      typeof metadata === 'object' && metadata !== null && 'user' in metadata ? undefined : 'expected a user',
    validate: (metadata: unknown) => user(metadata),
    principal: (metadata: object) => user(metadata).user,
  };

  test.each([
    ['with the right session id', (id: string) => id],
    ['with an old session id', () => 'a-session-of-yesterday'],
    ['with no session id worth the name', () => ''],
  ])('who claims the client id %s is refused, and the owner’s session goes on', async (_how, sessionIdOf) => {
    await using site = await Site.open(kind, { handshake, honestMetadata: { user: 'alice' } });
    const victim = site.transport.sessions.get('honest');
    for (const state of [
      { nextExpectedSeq: 0, nextSentSeq: 0 },
      { nextExpectedSeq: 1, nextSentSeq: 1 },
      { nextExpectedSeq: Number.MAX_SAFE_INTEGER, nextSentSeq: Number.MAX_SAFE_INTEGER },
    ]) {
      for (const extensions of [undefined, {}, { resume: { token, everConnected: true, nextSeq: 0 } }]) {
        using peer = await site.dial();
        const sessionId = sessionIdOf(victim?.id ?? '');
        const status = await peer.handshake({
          from: 'honest',
          sessionId,
          state,
          extensions,
          metadata: { user: 'mallory' },
        });
        expect(status).toMatchObject({
          ok: false,
          code: sessionId === '' ? 'MALFORMED_HANDSHAKE' : 'REJECTED_BY_CUSTOM_HANDLER',
        });
      }
    }
    expect(site.transport.sessions.get('honest')).toBe(victim);
  });

  test('who has the session id and no token cannot resume a session that has one, also without extensions', async () => {
    await using site = await Site.open(kind);
    const victim = site.transport.sessions.get('honest');
    const state = { nextExpectedSeq: 0, nextSentSeq: 0 };
    for (const extensions of [
      undefined,
      {},
      { heartbeat: {}, deadline: {} },
      { heartbeat: {}, deadline: {}, resume: { token, everConnected: false, nextSeq: 0 } },
      { heartbeat: {}, deadline: {}, resume: { token, everConnected: true, nextSeq: 1 } },
    ]) {
      using peer = await site.dial(site.honest.transport.options.codec);
      const status = await peer.handshake({ from: 'honest', sessionId: victim?.id, state, extensions });
      expect(status).toMatchObject({ ok: false, code: 'SESSION_STATE_MISMATCH' });
    }
    expect(site.transport.sessions.get('honest')).toBe(victim);
  });

  test('who comes with a dial that was given up long ago is closed without an answer', async () => {
    await using site = await Site.open(kind);
    using late = await site.dial();
    using newer = await site.dial();
    expect(await newer.handshake({ from: 'client-1', sessionId: 'session-1' })).toMatchObject({ ok: true });
    late.send(requestFor('session-1'));
    await late.closed();
    expect(late.messages).toEqual([]);
    expect(newer.isClosed).toBe(false);
    expect(site.transport.sessions.get('client-1')?.state).toBe('Connected');
  });

  test.each([1, -1, 0.5, 2 ** 53, Number.MAX_SAFE_INTEGER])(
    'who acknowledges %d, which cannot be, loses the session, and the violation is told once',
    async (ack) => {
      await using site = await Site.open(kind);
      const errors: string[] = [];
      site.transport.addEventListener('protocolError', ({ type, peer }) => errors.push(`${peer} ${type}`));
      using peer = await site.dial();
      await peer.handshake();
      peer.send(messageOf({ ack }));
      await peer.closed();
      expect(errors).toEqual(['client-1 invalid_message']);
      expect(site.transport.sessions.has('client-1')).toBe(false);
    },
  );
});

function requestFor(sessionId: string): Record<string, unknown> {
  const expectedSessionState = { nextExpectedSeq: 0, nextSentSeq: 0 };
  const payload = { type: 'HANDSHAKE_REQ', protocolVersion: 'v2.0', sessionId, expectedSessionState };
  return messageOf({ streamId: 'handshake', payload });
}

test('a thousand upgrades of a foreign page are answered 403 and leave nothing', async () => {
  await using site = await Site.open('ws', { server: { allowedOrigins: ['https://app.example'] } });
  const request = [
    'GET / HTTP/1.1',
    'Host: site',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    'Origin: https://evil.example',
    '\r\n',
  ].join('\r\n');
  const knock = async (): Promise<string> => {
    const socket = await site.socket();
    socket.write(request);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    return answer.split('\r\n', 1).join();
  };
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: 100 }, knock));
    expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 403 Forbidden']));
  }
  expect(site.transport.pendingHandshakes).toBe(0);
  expect(site.transport.sessions.size).toBe(1);
});
