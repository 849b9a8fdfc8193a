import { type AcceptedExtensions, onlyOffered, type ResumeAnswer, sameExtensions } from './extensions.ts';
import { HandshakeCode, parseHandshakeResponse } from './handshake.ts';
import type { TransportMessage } from './message.ts';
import type { SettledTransportOptions } from './options.ts';
import type { Agreement } from './session/environment.ts';
import type { Ledger } from './session/ledger.ts';
import { MalformedFrame } from './wire.ts';

/** What a client makes of the server's answer. */
export type AnswerVerdict =
  | { kind: 'accepted'; extensions: AcceptedExtensions | undefined }
  | { kind: 'refused'; code: string; reason: string };

/** Whom the answer must be from, to, and about. */
export interface Expectation {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly agreement: Agreement | undefined;
  readonly ledger: Pick<Ledger, 'ack' | 'oldestUnackedSeq' | 'nextSeq'>;
}

function malformed(reason: string): AnswerVerdict {
  return { kind: 'refused', code: HandshakeCode.MalformedHandshake, reason };
}

function mismatch(reason: string): AnswerVerdict {
  return { kind: 'refused', code: HandshakeCode.SessionStateMismatch, reason };
}

/** Both halves of the counter rule: oldest unconfirmed ≤ the peer's next expected ≤ next to send. */
function isConsistent({ ledger }: Expectation, answer: ResumeAnswer): boolean {
  return (
    answer.oldestUnackedSeq <= ledger.ack &&
    ledger.ack <= answer.nextSeq &&
    ledger.oldestUnackedSeq <= answer.nextExpectedSeq &&
    answer.nextExpectedSeq <= ledger.nextSeq
  );
}

/**
 * Judges the first frame of a connection, on the client. Pure.
 * @see PROTOCOL.md, "Handshake"
 */
export function judgeAnswer(
  session: Expectation,
  message: TransportMessage | MalformedFrame,
  options: SettledTransportOptions,
): AnswerVerdict {
  if (message instanceof MalformedFrame) return malformed(message.reason);
  if (message.from !== session.to || message.to !== session.from) {
    return malformed(
      `expected an answer from '${session.to}' to '${session.from}', got one from '${message.from}' to '${message.to}'`,
    );
  }
  const response = parseHandshakeResponse(message);
  if (!response.ok) return malformed(response.reason);
  const { status } = response.value;
  if (!status.ok) return { kind: 'refused', code: status.code, reason: status.reason };
  if (status.sessionId !== session.id) {
    return malformed(`expected the answer to echo session ${session.id}, got ${status.sessionId}`);
  }
  const extensions = onlyOffered(status.extensions, options);
  if (session.agreement !== undefined && !sameExtensions(session.agreement.extensions, extensions)) {
    return mismatch('the server has lost its memory, or now accepts other extensions than at first');
  }
  if (extensions?.resume !== undefined && !isConsistent(session, extensions.resume)) {
    return mismatch('the server and this client disagree about what was sent and received');
  }
  return { kind: 'accepted', extensions };
}
