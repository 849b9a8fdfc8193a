import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { judgeAnswer } from '../../transport/answer.ts';
import type { AcceptedExtensions, ResumeAnswer } from '../../transport/extensions.ts';
import { settleClientOptions } from '../../transport/options.ts';
import { noExtensions } from '../support/extensions.ts';

const standing: ResumeAnswer = { instance: 'i1', nextExpectedSeq: 3, oldestUnackedSeq: 1, nextSeq: 5 };
/** Sent 4 messages, of which 2 are confirmed, and got 2. */
const ledger = { ack: 2, oldestUnackedSeq: 2, nextSeq: 4 };
const agreed = (extensions: AcceptedExtensions) => ({ codec: JsonCodec, extensions, zero: 0 });

function judge(
  extensions: unknown,
  {
    agreement,
    options = {},
  }: { agreement?: AcceptedExtensions; options?: Parameters<typeof settleClientOptions>[0] } = {},
) {
  const session = {
    id: 'session-1',
    from: 'client-1',
    to: 'SERVER',
    agreement: agreement === undefined ? undefined : agreed(agreement),
    ledger,
  };
  const message = {
    id: 'm',
    from: 'SERVER',
    to: 'client-1',
    seq: 0,
    ack: 0,
    streamId: 's',
    controlFlags: 0,
    payload: { type: 'HANDSHAKE_RESP', status: { ok: true, sessionId: 'session-1', extensions } },
  };
  return judgeAnswer(session, message, settleClientOptions(options));
}

describe('the answer of a server', () => {
  test('is taken with what it accepts', () => {
    expect(judge({ resume: standing })).toEqual({ kind: 'accepted', extensions: { resume: standing } });
  });

  test('cannot accept what was not offered', () => {
    const options = { extensions: { resume: false, deadline: false } };
    const accepted = { heartbeat: { intervalMs: 1_000, misses: 2 }, deadline: {}, resume: standing };
    expect(judge(accepted, { options })).toEqual({
      kind: 'accepted',
      extensions: { heartbeat: { intervalMs: 1_000, misses: 2 } },
    });
    const nothing = { extensions: noExtensions };
    expect(judge(accepted, { options: nothing })).toEqual({ kind: 'accepted', extensions: undefined });
  });

  test.each([
    ['has discarded what the client never got', { ...standing, oldestUnackedSeq: 3 }],
    ['would send next what the client already got', { ...standing, oldestUnackedSeq: 0, nextSeq: 1 }],
    ['wants what the client has discarded', { ...standing, nextExpectedSeq: 1 }],
    ['got what the client never sent', { ...standing, nextExpectedSeq: 5 }],
  ])('is a mismatch where the server %s', (_what, resume) => {
    expect(judge({ resume })).toMatchObject({ kind: 'refused', code: 'SESSION_STATE_MISMATCH' });
  });

  test.each([
    ['another instance', { resume: { ...standing, instance: 'i2' } }],
    ['no resume any more', {}],
    ['no extensions any more', undefined],
    ['an extension more', { resume: standing, deadline: {} }],
  ])('is a mismatch where a later answer has %s', (_what, extensions) => {
    const verdict = judge(extensions, { agreement: { resume: standing } });
    expect(verdict).toMatchObject({ kind: 'refused', code: 'SESSION_STATE_MISMATCH' });
  });

  test('may stand elsewhere later', () => {
    const later = { ...standing, nextExpectedSeq: 4, oldestUnackedSeq: 2, nextSeq: 9 };
    expect(judge({ resume: later }, { agreement: { resume: standing } })).toMatchObject({ kind: 'accepted' });
  });

  test.each([
    ['an instance that is empty', { resume: { ...standing, instance: '' } }],
    ['a negative number', { resume: { ...standing, nextSeq: -1 } }],
    ['a window of nothing', { compact: {}, credit: { windowBytes: 0 } }],
    ['a window that is no number', { compact: {}, credit: {} }],
    ['a beat of no length', { heartbeat: { intervalMs: 0, misses: 2 } }],
    ['extensions that are no object', 5],
  ])('is malformed with %s', (_what, extensions) => {
    expect(judge(extensions)).toMatchObject({ kind: 'refused', code: 'MALFORMED_HANDSHAKE' });
  });
});
