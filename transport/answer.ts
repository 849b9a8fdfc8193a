import { type AcceptedExtensions, HandshakeCode, parseHandshakeResponse } from './handshake.ts';
import type { TransportMessage } from './message.ts';
import type { Agreement } from './session/core.ts';
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
}

function malformed(reason: string): AnswerVerdict {
  return { kind: 'refused', code: HandshakeCode.MalformedHandshake, reason };
}

function sameExtensions(a: AcceptedExtensions | undefined, b: AcceptedExtensions | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.heartbeat?.intervalMs === b.heartbeat?.intervalMs &&
    a.heartbeat?.misses === b.heartbeat?.misses &&
    (a.deadline === undefined) === (b.deadline === undefined)
  );
}

/**
 * Judges the first frame of a connection, on the client. Pure.
 * @param offered cuts what the server accepted down to what it was offered
 * @see PROTOCOL.md, "Handshake"
 */
export function judgeAnswer(
  session: Expectation,
  message: TransportMessage | MalformedFrame,
  offered: (accepted: AcceptedExtensions | undefined) => AcceptedExtensions | undefined,
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
  const extensions = offered(status.extensions);
  if (session.agreement !== undefined && !sameExtensions(session.agreement.extensions, extensions)) {
    const reason = 'the server now accepts other extensions than at first';
    return { kind: 'refused', code: HandshakeCode.SessionStateMismatch, reason };
  }
  return { kind: 'accepted', extensions };
}
