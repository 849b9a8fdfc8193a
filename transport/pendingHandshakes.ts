import type { Codec } from '../codec/codec.ts';
import { ProtocolError } from './errors.ts';
import type { TransportEvents } from './events.ts';
import type { AcceptedExtensions } from './extensions.ts';
import { HandshakeCode, type HandshakeResponse, handshakeResponseMessage } from './handshake.ts';
import type { LogFields, LogLevel } from './log.ts';
import type { SessionWaitingForHandshake } from './session/SessionWaitingForHandshake.ts';
import { encodeFrame } from './wire.ts';

/** What answering needs of its transport. */
export interface AnsweringTransport {
  /** The server's, in every answer. */
  readonly clientId: string;
  readonly maxMessageBytes: number;
  newId(): string;
  log(level: LogLevel, message: string, fields: LogFields): void;
  protocolError(event: TransportEvents['protocolError']): void;
}

/** Connections whose handshake is not done, and the ways in which it ends. None of them touches a session. */
export class PendingHandshakes {
  readonly #transport: AnsweringTransport;
  readonly #pending = new Set<SessionWaitingForHandshake>();

  constructor(transport: AnsweringTransport) {
    this.#transport = transport;
  }

  get size(): number {
    return this.#pending.size;
  }

  add(pending: SessionWaitingForHandshake): void {
    this.#pending.add(pending);
  }

  /** Closes it without a word: its time is over, or nobody is there to be told. */
  drop(pending: SessionWaitingForHandshake, reason: string): void {
    this.#transport.log('info', `closed a pending connection: ${reason}`, { connectionId: pending.id });
    this.#end(pending);
  }

  dropAll(reason: string): void {
    for (const pending of [...this.#pending]) this.drop(pending, reason);
  }

  /** The peer broke the protocol. Nothing is known of who is there, so nothing is answered. */
  fail(pending: SessionWaitingForHandshake, message: string): void {
    this.#transport.protocolError({
      type: ProtocolError.HandshakeFailed,
      code: HandshakeCode.MalformedHandshake,
      message,
    });
    this.#end(pending);
  }

  reject(pending: SessionWaitingForHandshake, codec: Codec, to: string, code: string, reason: string): void {
    this.#transport.protocolError({ type: ProtocolError.HandshakeFailed, code, message: reason, peer: to });
    const answer = this.#encode(pending, codec, to, { ok: false, code, reason });
    if (answer !== undefined) pending.connection.send(answer);
    this.#end(pending);
  }

  /** The answer that accepts, before anything is touched. Undefined if it cannot be encoded: then the connection is closed. */
  accept(
    pending: SessionWaitingForHandshake,
    codec: Codec,
    to: string,
    sessionId: string,
    extensions: AcceptedExtensions | undefined,
  ): Uint8Array | undefined {
    const status =
      extensions === undefined ? { ok: true as const, sessionId } : { ok: true as const, sessionId, extensions };
    const answer = this.#encode(pending, codec, to, status);
    if (answer === undefined) this.#end(pending);
    else this.#pending.delete(pending);
    return answer;
  }

  #end(pending: SessionWaitingForHandshake): void {
    this.#pending.delete(pending);
    pending.close();
  }

  #encode(
    pending: SessionWaitingForHandshake,
    codec: Codec,
    to: string,
    status: HandshakeResponse['status'],
  ): Uint8Array | undefined {
    const { clientId, maxMessageBytes, newId } = this.#transport;
    try {
      return encodeFrame(codec, handshakeResponseMessage(clientId, to, newId, status), maxMessageBytes);
    } catch (error) {
      const fields = { connectionId: pending.id, connectedTo: to, error };
      this.#transport.log('error', 'could not encode the answer to a handshake', fields);
      return undefined;
    }
  }
}
