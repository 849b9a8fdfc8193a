import { describe, expect, test } from 'vitest';
import { decideResume, type OldSession, type ResumeDecision, type ResumeRequest } from '../../transport/resume.ts';

type Mode = 'replace' | 'reject' | 'coexist';

/** A session that sent 5 messages, of which 2 are confirmed, and got 3. */
const held: OldSession = {
  sessionId: 'session-1',
  isConnected: false,
  ordinal: 10,
  principal: undefined,
  token: undefined,
  ack: 3,
  oldestUnackedSeq: 2,
  nextSeq: 5,
};

const asked: ResumeRequest = {
  sessionId: 'session-1',
  expected: { nextExpectedSeq: 2, nextSentSeq: 3 },
  ordinal: 11,
  principal: undefined,
  agrees: true,
  resume: undefined,
};

const fresh = { nextExpectedSeq: 0, nextSentSeq: 0 };
const modes: Mode[] = ['replace', 'reject', 'coexist'];

function outcomeOf(decision: ResumeDecision): string {
  return decision.kind === 'reject' ? decision.code : decision.kind;
}

function decide(
  request: Partial<ResumeRequest>,
  old: Partial<OldSession> | undefined,
  mode: Mode = 'replace',
  replaced = false,
) {
  const session = old === undefined ? undefined : { ...held, ...old };
  return decideResume({ ...asked, ...request }, session, mode, replaced, 'instance-1');
}

describe.each(modes)('with duplicateClient %s, a server that holds no session for the peer', (mode) => {
  test('begins a session where both numbers are 0', () => {
    expect(decide({ expected: fresh }, undefined, mode)).toEqual({ kind: 'new' });
  });

  test.each([
    { nextExpectedSeq: 1, nextSentSeq: 0 },
    { nextExpectedSeq: 0, nextSentSeq: 1 },
    { nextExpectedSeq: 7, nextSentSeq: 9 },
    { nextExpectedSeq: Number.MAX_SAFE_INTEGER, nextSentSeq: 0 },
  ])('answers a mismatch to $nextExpectedSeq and $nextSentSeq: it lost that session', (expected) => {
    expect(decide({ expected }, undefined, mode)).toMatchObject({ kind: 'reject', code: 'SESSION_STATE_MISMATCH' });
  });

  test('whether codec and extensions agree does not matter to a new session', () => {
    expect(decide({ expected: fresh, agrees: false }, undefined, mode)).toEqual({ kind: 'new' });
  });
});

describe.each(modes)('with duplicateClient %s, the same session', (mode) => {
  // The server: ack 3, oldest unconfirmed 2, next 5.
  test.each([
    { says: 'stands exactly where the server thinks', nextExpectedSeq: 2, nextSentSeq: 3, outcome: 'resume' },
    { says: 'got everything that was sent', nextExpectedSeq: 5, nextSentSeq: 3, outcome: 'resume' },
    { says: 'got some of it', nextExpectedSeq: 4, nextSentSeq: 3, outcome: 'resume' },
    {
      says: 'sends again what was received: duplicates are dropped',
      nextExpectedSeq: 2,
      nextSentSeq: 2,
      outcome: 'resume',
    },
    { says: 'sends everything again', nextExpectedSeq: 2, nextSentSeq: 0, outcome: 'resume' },
    {
      says: 'has discarded what the server never got',
      nextExpectedSeq: 2,
      nextSentSeq: 4,
      outcome: 'SESSION_STATE_MISMATCH',
    },
    { says: 'is far in the future', nextExpectedSeq: 2, nextSentSeq: 2 ** 40, outcome: 'SESSION_STATE_MISMATCH' },
    {
      says: 'expects what the server has discarded',
      nextExpectedSeq: 1,
      nextSentSeq: 3,
      outcome: 'SESSION_STATE_MISMATCH',
    },
    { says: 'begins anew under the old id', nextExpectedSeq: 0, nextSentSeq: 0, outcome: 'SESSION_STATE_MISMATCH' },
    { says: 'got what was never sent', nextExpectedSeq: 6, nextSentSeq: 3, outcome: 'SESSION_STATE_MISMATCH' },
    { says: 'is wrong on both counts', nextExpectedSeq: 0, nextSentSeq: 9, outcome: 'SESSION_STATE_MISMATCH' },
  ])('whose client $says: $outcome', ({ nextExpectedSeq, nextSentSeq, outcome }) => {
    for (const isConnected of [false, true])
      expect(outcomeOf(decide({ expected: { nextExpectedSeq, nextSentSeq } }, { isConnected }, mode))).toBe(outcome);
  });

  test('in which nothing was said is resumed from 0', () => {
    const old = { ack: 0, oldestUnackedSeq: 0, nextSeq: 0 };
    expect(outcomeOf(decide({ expected: fresh }, old, mode))).toBe('resume');
    expect(outcomeOf(decide({ expected: { nextExpectedSeq: 1, nextSentSeq: 0 } }, old, mode))).toBe(
      'SESSION_STATE_MISMATCH',
    );
    expect(outcomeOf(decide({ expected: { nextExpectedSeq: 0, nextSentSeq: 1 } }, old, mode))).toBe(
      'SESSION_STATE_MISMATCH',
    );
  });

  test('with another codec or other extensions is a mismatch', () => {
    expect(outcomeOf(decide({ agrees: false }, {}, mode))).toBe('SESSION_STATE_MISMATCH');
  });

  test.each([
    { ordinal: 9, outcome: 'ignore' },
    { ordinal: 10, outcome: 'ignore' },
    { ordinal: 11, outcome: 'resume' },
  ])('asked for by connection $ordinal, when connection 10 attached last: $outcome', ({ ordinal, outcome }) => {
    for (const isConnected of [false, true])
      expect(outcomeOf(decide({ ordinal }, { isConnected }, mode))).toBe(outcome);
  });

  test('asked for by an earlier connection is not even told of a mismatch', () => {
    expect(decide({ ordinal: 9, expected: { nextExpectedSeq: 9, nextSentSeq: 9 } }, {}, mode).kind).toBe('ignore');
    expect(decide({ ordinal: 9, agrees: false }, {}, mode).kind).toBe('ignore');
  });
});

describe('another session of the same client', () => {
  const other = { sessionId: 'session-2' };

  test.each([
    { mode: 'replace', isConnected: false, outcome: 'replace' },
    { mode: 'replace', isConnected: true, outcome: 'replace' },
    { mode: 'reject', isConnected: false, outcome: 'replace' },
    { mode: 'reject', isConnected: true, outcome: 'REJECTED_BY_CUSTOM_HANDLER' },
  ] as const)(
    'with $mode, where the old one is connected: $isConnected → $outcome',
    ({ mode, isConnected, outcome }) => {
      expect(outcomeOf(decide({ ...other, expected: fresh }, { isConnected }, mode))).toBe(outcome);
    },
  );

  test.each(modes)('that is not fresh is a mismatch with %s, and ends nobody', (mode) => {
    for (const expected of [
      { nextExpectedSeq: 1, nextSentSeq: 0 },
      { nextExpectedSeq: 0, nextSentSeq: 1 },
      { nextExpectedSeq: 2, nextSentSeq: 3 },
    ])
      expect(outcomeOf(decide({ ...other, expected }, {}, mode))).toBe('SESSION_STATE_MISMATCH');
  });

  test.each([
    { ordinal: 9, outcome: 'ignore' },
    { ordinal: 10, outcome: 'ignore' },
    { ordinal: 11, outcome: 'replace' },
  ])('asked for by connection $ordinal, when connection 10 attached last: $outcome', ({ ordinal, outcome }) => {
    expect(outcomeOf(decide({ ...other, expected: fresh, ordinal }, {}))).toBe(outcome);
  });

  test('needs neither the same codec nor the same extensions', () => {
    expect(outcomeOf(decide({ ...other, expected: fresh, agrees: false }, {}))).toBe('replace');
  });
});

describe('a session that was replaced', () => {
  test.each(modes)('is told so, whatever its numbers (%s)', (mode) => {
    for (const expected of [fresh, { nextExpectedSeq: 2, nextSentSeq: 3 }]) {
      for (const old of [undefined, { sessionId: 'session-2' }])
        expect(outcomeOf(decide({ expected }, old, mode, true))).toBe('SESSION_REPLACED');
    }
  });
});

describe.each(modes)('with duplicateClient %s, a principal', (mode) => {
  test.each([
    { ours: 'alice', theirs: 'alice', outcome: 'resume' },
    { ours: 'alice', theirs: 'mallory', outcome: 'REJECTED_BY_CUSTOM_HANDLER' },
    { ours: 'alice', theirs: undefined, outcome: 'REJECTED_BY_CUSTOM_HANDLER' },
    { ours: undefined, theirs: 'mallory', outcome: 'REJECTED_BY_CUSTOM_HANDLER' },
    { ours: '', theirs: undefined, outcome: 'REJECTED_BY_CUSTOM_HANDLER' },
  ])('$theirs asking for the session of $ours: $outcome', ({ ours, theirs, outcome }) => {
    expect(outcomeOf(decide({ principal: theirs }, { principal: ours }, mode))).toBe(outcome);
    const replacing = decide({ principal: theirs, sessionId: 'session-2', expected: fresh }, { principal: ours }, mode);
    if (outcome !== 'resume') expect(outcomeOf(replacing)).toBe(outcome);
  });

  test('who is not the owner learns nothing of the session: neither its counters nor that it was replaced', () => {
    const strange = { principal: 'mallory' };
    const old = { principal: 'alice' };
    const refusals = [
      decide({ ...strange, expected: { nextExpectedSeq: 99, nextSentSeq: 99 } }, old, mode),
      decide({ ...strange, ordinal: 1 }, old, mode),
      decide({ ...strange, agrees: false }, old, mode),
      decide({ ...strange, sessionId: 'session-2' }, old, mode, true),
      decide({ ...strange, sessionId: 'session-2', expected: fresh }, { ...old, isConnected: true }, mode),
    ];
    for (const refusal of refusals) expect(refusal).toEqual(refusals[0]);
    expect(JSON.stringify(refusals)).not.toContain('alice');
  });
});

describe('any request', () => {
  test('resumes exactly where each side still has what the other lacks', () => {
    for (let ack = 0; ack < 4; ack++)
      for (let oldest = 0; oldest < 4; oldest++)
        for (let next = oldest; next < 4; next++)
          for (let expected = 0; expected < 5; expected++)
            for (let sent = 0; sent < 5; sent++) {
              const request = { expected: { nextExpectedSeq: expected, nextSentSeq: sent } };
              const old = { ack, oldestUnackedSeq: oldest, nextSeq: next };
              const canFill = sent <= ack && oldest <= expected && expected <= next;
              expect(outcomeOf(decide(request, old))).toBe(canFill ? 'resume' : 'SESSION_STATE_MISMATCH');
            }
  });
});

describe.each(modes)('with duplicateClient %s, a session that has a token', (mode) => {
  const token = 'a token of twenty-four characters'.slice(0, 24);
  const proof = { token, everConnected: true, instance: 'instance-1', nextSeq: 4 };
  const own = { token };

  test('is resumed with its token', () => {
    expect(decide({ resume: proof }, own, mode)).toEqual({ kind: 'resume' });
  });

  test('is resumed by a client that never got its first answer, and so knows no instance', () => {
    const first = { token, everConnected: false, nextSeq: 0 };
    const untouched = { ...own, ack: 0, oldestUnackedSeq: 0, nextSeq: 0 };
    expect(decide({ expected: fresh, resume: first }, untouched, mode)).toEqual({ kind: 'resume' });
  });

  test.each([
    ['without it', undefined],
    ['with another', { ...proof, token: `${token.slice(0, -1)}X` }],
    ['with a part of it', { ...proof, token: token.slice(0, -1) }],
    ['by a client that sent less than arrived', { ...proof, nextSeq: 2 }],
    ['by a client that spoke to another instance', { ...proof, instance: 'instance-2' }],
  ])('is not resumed %s', (_how, resume) => {
    expect(outcomeOf(decide({ resume }, own, mode))).toBe('SESSION_STATE_MISMATCH');
  });
});

describe.each(modes)('with duplicateClient %s, a client that was connected before', (mode) => {
  const proof = { token: 'x'.repeat(24), everConnected: true, instance: 'instance-1', nextSeq: 0 };

  test('is told that its session is lost, even where nothing was ever said in it', () => {
    expect(outcomeOf(decide({ expected: fresh, resume: proof }, undefined, mode))).toBe('SESSION_STATE_MISMATCH');
  });

  test('is told so by another instance', () => {
    const elsewhere = { ...proof, instance: 'instance-2' };
    expect(outcomeOf(decide({ expected: fresh, resume: elsewhere }, undefined, mode))).toBe('SESSION_STATE_MISMATCH');
  });

  test('begins a session where it never got an answer', () => {
    const first = { token: 'x'.repeat(24), everConnected: false, nextSeq: 0 };
    expect(decide({ expected: fresh, resume: first }, undefined, mode)).toEqual({ kind: 'new' });
  });
});
