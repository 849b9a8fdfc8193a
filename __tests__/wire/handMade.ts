import type { HandMadeScenario, ScriptStep } from './scenario.ts';

/** A handshake request as the script makes it. */
function request(nextExpectedSeq: number, nextSentSeq: number): object {
  const expectedSessionState = { nextExpectedSeq, nextSentSeq };
  return first({ type: 'HANDSHAKE_REQ', protocolVersion: 'v2.0', sessionId: 'session-x', expectedSessionState });
}

/** A first frame with any payload. */
function first(payload: object): object {
  return { id: 'm1', from: 'client-1', to: 'SERVER', seq: 0, ack: 0, streamId: 's1', controlFlags: 0, payload };
}

/** A whole call of math.add in one message. */
function add(fields: { id: string; streamId: string; seq: number; ack: number; from?: string }): object {
  const call = { controlFlags: 10, serviceName: 'math', procedureName: 'add', payload: { n: 1 } };
  return { from: 'client-1', to: 'SERVER', ...fields, ...call };
}

/** One frame, one answer, and the server closes. */
function refused(sessionsLeft: number, message: object): HandMadeScenario {
  const script = [{ opens: 1 }, { sends: 1, message }, { hears: 1 }, { isClosed: 1 }];
  return { kind: 'hand-made', sessionsLeft, script };
}

/** A session begins, and then comes what the server drops it, or its connection, for. */
function begun(sessionsLeft: number, ...rest: ScriptStep[]): HandMadeScenario {
  const script = [{ opens: 1 }, { sends: 1, message: request(0, 0) }, { hears: 1 }, ...rest];
  return { kind: 'hand-made', sessionsLeft, script };
}

/** The script leaves, comes back on another connection, and is refused. */
function refusedLater(message: object): ScriptStep[] {
  return [{ opens: 2 }, { closes: 1 }, { sends: 2, message }, { hears: 2 }, { isClosed: 2 }];
}

const onceAdded = add({ id: 'd', streamId: 'q', seq: 0, ack: 0 });

/** The scenarios whose client is a script of raw frames. Its ids are its own, and not random. */
export const handMade: Readonly<Record<string, HandMadeScenario>> = {
  'bad-first-message': refused(0, first({ hello: 'world' })),
  'bad-handshake-shape': refused(0, first({ type: 'HANDSHAKE_REQ', sessionId: 4 })),
  'bad-version': refused(
    0,
    first({
      type: 'HANDSHAKE_REQ',
      protocolVersion: 'v0',
      sessionId: 'session-x',
      expectedSessionState: { nextExpectedSeq: 0, nextSentSeq: 0 },
    }),
  ),
  'mismatch-unknown-session': refused(0, request(3, 2)),
  'mismatch-client-in-future': begun(1, ...refusedLater(request(0, 5))),
  'mismatch-server-in-future': begun(
    1,
    ...[0, 1, 2].flatMap((n) => [
      { sends: 1, message: add({ id: `a${n}`, streamId: `str${n}`, seq: n, ack: n }) },
      { hears: 1 },
    ]),
    ...refusedLater(request(0, 3)),
  ),
  'not-a-message': {
    kind: 'hand-made',
    sessionsLeft: 0,
    script: [{ opens: 1 }, { sends: 1, bytes: Uint8Array.of(1, 2, 3) }, { isClosed: 1 }],
  },
  'spoofed-from': begun(
    0,
    { sends: 1, message: add({ id: 'z', streamId: 'q', seq: 0, ack: 0, from: 'other' }) },
    { isClosed: 1 },
  ),
  'seq-gap': begun(1, { sends: 1, message: add({ id: 'd', streamId: 'q', seq: 4, ack: 0 }) }, { isClosed: 1 }),
  // The duplicate is neither answered nor punished: it is the script that closes.
  'duplicate-seq': begun(
    1,
    { sends: 1, message: onceAdded },
    { hears: 1 },
    { sends: 1, message: onceAdded },
    { closes: 1 },
  ),
};
