import { type ResumeOffer, sameToken } from './extensions.ts';
import type { ExpectedSessionState } from './handshake.ts';

/** What a handshake asks for. */
export interface ResumeRequest {
  sessionId: string;
  expected: ExpectedSessionState;
  /** Of the connection it came on. */
  ordinal: number;
  principal: string | undefined;
  /** True if codec and extensions would come out as the old session has them. */
  agrees: boolean;
  /** Undefined where the client does not offer the extension, or the server does not speak it. */
  resume: ResumeOffer | undefined;
}

/** What the server holds for the same client id. */
export interface OldSession {
  sessionId: string;
  isConnected: boolean;
  /** Ordinal of the connection that last attached. */
  ordinal: number;
  principal: string | undefined;
  /** Undefined for a session without `resume`. */
  token: string | undefined;
  /** The next seq it expects. */
  ack: number;
  oldestUnackedSeq: number;
  nextSeq: number;
}

/** What to do about a handshake. Only `ignore` is not answered. */
export type ResumeDecision =
  | { kind: 'new' }
  | { kind: 'resume' }
  | { kind: 'replace' }
  | {
      kind: 'reject';
      code: 'SESSION_STATE_MISMATCH' | 'REJECTED_BY_CUSTOM_HANDLER' | 'SESSION_REPLACED';
      reason: string;
    }
  | { kind: 'ignore'; reason: string };

function mismatch(reason: string): ResumeDecision {
  return { kind: 'reject', code: 'SESSION_STATE_MISMATCH', reason };
}

/** Why the proof that comes with `resume` does not hold, or undefined if it does. */
function faultOfProof({ resume }: ResumeRequest, old: OldSession): string | undefined {
  if (old.token === undefined) return undefined;
  if (resume === undefined) return 'this session is never resumed without its token';
  if (!sameToken(resume.token, old.token)) return 'the token is not that of this session';
  if (old.ack > resume.nextSeq) {
    return `the client would send ${resume.nextSeq} next, but ${old.ack} messages arrived: it has lost some`;
  }
  return undefined;
}

function decideSame(request: ResumeRequest, old: OldSession): ResumeDecision {
  const fault = faultOfProof(request, old);
  if (fault !== undefined) return mismatch(fault);
  const { nextExpectedSeq, nextSentSeq } = request.expected;
  if (nextSentSeq > old.ack) {
    return mismatch(
      `client is in the future: expected its next message to be ${old.ack} or earlier, got ${nextSentSeq}`,
    );
  }
  if (old.oldestUnackedSeq > nextExpectedSeq) {
    return mismatch(
      `server is in the future: the client expects ${nextExpectedSeq} next, but everything below ${old.oldestUnackedSeq} is discarded`,
    );
  }
  if (nextExpectedSeq > old.nextSeq) {
    return mismatch(
      `the client expects ${nextExpectedSeq} next, but only ${old.nextSeq} messages were sent: this server has lost some`,
    );
  }
  if (!request.agrees) return mismatch('codec and extensions must be those of the first handshake');
  return { kind: 'resume' };
}

/**
 * Decides what a handshake does, from what it says and what the server holds for that client id.
 * @param old with the same client id; with `coexist`, with the same session id too
 * @param replaced true if the session asked for was replaced within the grace period by another, and the client would understand the code
 * @param instance this server's
 * @see PROTOCOL.md, "Handshake"
 */
export function decideResume(
  request: ResumeRequest,
  old: OldSession | undefined,
  duplicateClient: 'replace' | 'reject' | 'coexist',
  replaced: boolean,
  instance: string,
): ResumeDecision {
  const isFresh = request.expected.nextExpectedSeq === 0 && request.expected.nextSentSeq === 0;
  if (old !== undefined && old.principal !== request.principal) {
    return { kind: 'reject', code: 'REJECTED_BY_CUSTOM_HANDLER', reason: 'this client id belongs to somebody else' };
  }
  if (request.resume?.instance !== undefined && request.resume.instance !== instance) {
    return mismatch('this server has lost its memory since it answered the client');
  }
  if (old?.sessionId === request.sessionId) {
    if (request.ordinal <= old.ordinal)
      return { kind: 'ignore', reason: 'a later connection already carries this session' };
    return decideSame(request, old);
  }
  if (replaced) {
    return {
      kind: 'reject',
      code: 'SESSION_REPLACED',
      reason: 'another session of this client took the place of this one',
    };
  }
  if (!isFresh || request.resume?.everConnected === true) {
    return mismatch(`client is trying to reconnect to a session the server does not know about: ${request.sessionId}`);
  }
  if (old === undefined) return { kind: 'new' };
  if (request.ordinal <= old.ordinal)
    return { kind: 'ignore', reason: 'a later connection already carries a session of this client' };
  if (duplicateClient === 'reject' && old.isConnected) {
    return {
      kind: 'reject',
      code: 'REJECTED_BY_CUSTOM_HANDLER',
      reason: 'this client id already has a connected session',
    };
  }
  return { kind: 'replace' };
}
