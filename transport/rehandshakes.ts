import type { HandshakePeer, ServerHandshake } from './handshake.ts';
import type { LogFields, LogLevel } from './log.ts';
import { type IncomingMessage, rehandshakeRequest } from './message.ts';
import type { SessionConnected } from './session/SessionConnected.ts';
import { adopt, judgeMetadata, type MetadataVerdict } from './validation.ts';

/** What re-handshakes need of their transport. */
export interface ExpiringTransport {
  /** How metadata are judged now. */
  handshake(): ServerHandshake | undefined;
  now(): number;
  wallNow(): number;
  log(level: LogLevel, message: string, fields: LogFields): void;
  /** Goes on with a session, unless it has moved on meanwhile. */
  post(session: SessionConnected, fn: () => void): void;
  /** The credential of a session has ended, and with it the session. */
  expire(session: SessionConnected, message: string): void;
}

/** No handshake is judged for so long. */
const LONGEST_JUDGING_MS = 10 * 60_000;

/** Asks clients for fresh metadata before their credential ends, and judges what they answer. */
export class Rehandshakes {
  readonly #transport: ExpiringTransport;
  /** When the application asked for fresh metadata of a client, the latest last. */
  readonly #requests = new Map<string, number>();

  constructor(transport: ExpiringTransport) {
    this.#transport = transport;
  }

  /** The application wants fresh metadata of a client, also where one of its handshakes is just being judged. */
  requested(clientId: string): void {
    const now = this.#transport.now();
    this.#requests.delete(clientId);
    this.#requests.set(clientId, now);
    for (const [other, at] of this.#requests) {
      if (now - at < LONGEST_JUDGING_MS) return;
      this.#requests.delete(other);
    }
  }

  wasRequestedSince(clientId: string, time = Number.NEGATIVE_INFINITY): boolean {
    const at = this.#requests.get(clientId);
    return at !== undefined && at >= time;
  }

  readonly ask = (session: SessionConnected): void => {
    if (session.awaitRehandshake()) session.core.send(rehandshakeRequest());
  };

  /** None came. */
  readonly overdue = (session: SessionConnected): void => {
    this.#transport.expire(session, 'no valid handshake metadata came before the credential expired, or in time');
  };

  /** A message of a re-handshake came. */
  received(session: SessionConnected, { payload }: IncomingMessage): void {
    const { core } = session;
    const transport = this.#transport;
    if (!isRehandshakeResponse(payload) || !session.takeRehandshake()) {
      return transport.log('warn', 'ignored a re-handshake message that nobody asked for', {
        sessionId: core.id,
        connectedTo: core.to,
      });
    }
    const peer = (): HandshakePeer => ({ reason: 'rehandshake', ...session.connection.info });
    const wallNow = () => transport.wallNow();
    judgeMetadata(transport.handshake(), payload.metadata, core.metadata, core.to, peer, wallNow, (verdict) => {
      if (verdict.kind !== 'accepted' && verdict.error !== undefined)
        transport.log('error', 'a handshake validator failed', { sessionId: core.id, error: verdict.error });
      // A reconnect meanwhile brought metadata of its own, newer than this: whoever has moved on is not judged.
      transport.post(session, () => this.#judged(session, verdict));
    });
  }

  #judged(session: SessionConnected, verdict: MetadataVerdict): void {
    const { core } = session;
    const isAskedAgain = session.endJudging();
    if (verdict.kind === 'failed') return session.askAgainSoon();
    if (verdict.kind === 'refused') return this.#transport.expire(session, `re-handshake refused: ${verdict.reason}`);
    if (verdict.credentials.principal !== core.principal) {
      return this.#transport.expire(session, 're-handshake refused: it speaks for somebody else');
    }
    adopt(core, verdict.credentials);
    session.watchExpiry();
    if (isAskedAgain) this.ask(session);
  }
}

function isRehandshakeResponse(payload: unknown): payload is { metadata?: unknown } {
  return typeof payload === 'object' && payload !== null && 'type' in payload && payload.type === 'REHANDSHAKE_RESP';
}
