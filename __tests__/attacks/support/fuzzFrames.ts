import fc from 'fast-check';
import { messageOf, requestOf } from '../../support/barePeer.ts';

/*
 * Honest frames, for the fuzzer to spoil. Sequence numbers are those of a session at its beginning, so that what is not
 * spoilt is believed and what follows it is read.
 */

const resume = { token: 'a-token-of-twenty-four-chars', everConnected: false, nextSeq: 0 };

/** Requests that a server accepts. */
export const requests: fc.Arbitrary<unknown> = fc.constantFrom(
  requestOf(),
  requestOf({ sessionId: 'session-2', metadata: { user: 'alice', valid: true } }),
  requestOf({ extensions: {} }),
  requestOf({ extensions: { heartbeat: {}, deadline: {}, resume } }),
  requestOf({ state: { nextExpectedSeq: 1, nextSentSeq: 1 } }),
);

/** The ok of a server for a session, with and without extensions. */
export function answersFor(sessionId: string): fc.Arbitrary<unknown> {
  const answer = (status: object) =>
    messageOf({
      from: 'EVIL',
      to: 'client-1',
      streamId: 'handshake',
      payload: { type: 'HANDSHAKE_RESP', status },
    });
  const standing = { instance: 'instance-1', nextExpectedSeq: 0, oldestUnackedSeq: 0, nextSeq: 0 };
  const heartbeat = { intervalMs: 1_000, misses: 2 };
  return fc.constantFrom(
    answer({ ok: true, sessionId }),
    answer({ ok: true, sessionId, extensions: {} }),
    answer({ ok: true, sessionId, extensions: { heartbeat, deadline: {}, resume: standing } }),
    answer({ ok: false, code: 'SESSION_STATE_MISMATCH', reason: 'no' }),
    answer({ ok: false, code: 'MALFORMED_HANDSHAKE', reason: 'no' }),
  );
}

const cancel = { ok: false, payload: { code: 'CANCEL', message: 'no more' } };
const names = (serviceName: string, procedureName: string) => ({ serviceName, procedureName });

/** What a client says in a session: opens, requests, closes, cancels, beats; `seq` is the position in the list. */
const clientFields: fc.Arbitrary<Record<string, unknown>> = fc.constantFrom<Record<string, unknown>>(
  { streamId: 'a', controlFlags: 10, ...names('math', 'add'), payload: { n: 1 } },
  { streamId: 'b', controlFlags: 10, ...names('math', 'types'), payload: { bytes: new Uint8Array(4), big: 7n } },
  { streamId: 'c', controlFlags: 2, ...names('flow', 'echo'), payload: { prefix: '>' } },
  { streamId: 'c', payload: { msg: 'hello' } },
  { streamId: 'c', controlFlags: 8, payload: { type: 'CLOSE' } },
  { streamId: 'd', controlFlags: 2, ...names('flow', 'sum'), payload: { multiplier: 2 } },
  { streamId: 'd', payload: { value: 3 } },
  { streamId: 'd', controlFlags: 8, payload: { type: 'CLOSE' } },
  { streamId: 'e', controlFlags: 10, ...names('flow', 'count'), payload: { to: 3 } },
  { streamId: 'f', controlFlags: 10, ...names('math', 'wait'), payload: {}, deadline: 1_000 },
  { streamId: 'f', controlFlags: 4, payload: cancel },
  { streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } },
  { streamId: 'rehandshake', payload: { type: 'REHANDSHAKE_RESP', metadata: {} } },
);

/** What a server says in a session whose client has an open stream, upload, subscription and rpc. */
function serverFields(streamIds: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const shapes: Record<string, unknown>[] = [
    { payload: { ok: true, payload: { result: 1 } } },
    { controlFlags: 8, payload: { ok: true, payload: { total: 1 } } },
    { payload: { ok: true, payload: { i: 1 } } },
    { payload: { ok: true, payload: { out: 'hello' } } },
    { controlFlags: 8, payload: { type: 'CLOSE' } },
    { controlFlags: 4, payload: cancel },
    { payload: cancel },
  ];
  const control: Record<string, unknown>[] = [
    { streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } },
    { streamId: 'rehandshake', payload: { type: 'REHANDSHAKE_REQ' } },
  ];
  const onStreams = fc
    .tuple(fc.constantFrom(...streamIds), fc.constantFrom(...shapes))
    .map(([streamId, shape]) => ({ streamId, ...shape }));
  return fc.oneof({ weight: 5, arbitrary: onStreams }, { weight: 1, arbitrary: fc.constantFrom(...control) });
}

/** A message of a client at position `seq`. */
export function fromClient(seq: number): fc.Arbitrary<unknown> {
  return clientFields.map((fields) => messageOf({ ...fields, seq }));
}

/** A message of a server at position `seq`, on one of these streams. */
export function fromServer(seq: number, streamIds: readonly string[]): fc.Arbitrary<unknown> {
  return serverFields(streamIds).map((fields) => messageOf({ from: 'EVIL', to: 'client-1', ...fields, seq }));
}
