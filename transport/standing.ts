import type { Codec } from '../codec/codec.ts';
import { type AcceptedExtensions, type ResumeAnswer, sameExtensions } from './extensions.ts';
import type { HandshakeRequest } from './handshake.ts';
import type { OldSession } from './resume.ts';
import type { SessionCore } from './session/core.ts';
import type { Session } from './session/transitions.ts';

/** A session as a handshake is judged against it. */
export function describeSession(session: Session): OldSession {
  const { core } = session;
  return {
    sessionId: core.id,
    isConnected: session.state === 'Connected',
    ordinal: core.attachedOrdinal,
    principal: core.principal,
    token: core.resumeToken,
    ack: core.ledger.ack,
    oldestUnackedSeq: core.ledger.oldestUnackedSeq,
    nextSeq: core.ledger.nextSeq,
  };
}

/** Codec and extensions are fixed by a session's first answer. */
export function agreesWith(core: SessionCore, codec: Codec, extensions: AcceptedExtensions | undefined): boolean {
  const agreed = core.agreement;
  return agreed?.codec === codec && sameExtensions(agreed.extensions, extensions);
}

/** Where a server stands, as a client learns it that asks to resume: once it has confirmed what the client has. */
export function standingOf(
  instance: string,
  core: SessionCore | undefined,
  { sessionId, expectedSessionState }: HandshakeRequest,
): ResumeAnswer {
  if (core?.id !== sessionId) return { instance, nextExpectedSeq: 0, oldestUnackedSeq: 0, nextSeq: 0 };
  const { ack: nextExpectedSeq, oldestUnackedSeq: oldest, nextSeq } = core.ledger;
  return {
    instance,
    nextExpectedSeq,
    oldestUnackedSeq: Math.max(oldest, expectedSessionState.nextExpectedSeq),
    nextSeq,
  };
}
