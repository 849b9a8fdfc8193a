/**
 * Every way this library fails. A caller's mistake throws one of the classes here; a peer's mistake is a
 * {@link ProtocolError} event; a handler's expected failure is a `Result` and never comes here.
 */

/** Base of everything the transport throws at its caller. */
export class HoldfastError extends Error {
  /** Stable, for programs; the message is for people. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The transport was closed: it opens no session and sends nothing any more. */
export class TransportClosedError extends HoldfastError {
  constructor(clientId: string, doing: string) {
    super('TRANSPORT_CLOSED', `transport ${clientId} is closed: ${doing} is not possible any more`);
  }
}

/** The session ended: what is sent on it can never arrive. */
export class SessionClosedError extends HoldfastError {
  constructor(sessionId: string, doing: string) {
    super('SESSION_CLOSED', `session ${sessionId} has ended: ${doing} is not possible any more`);
  }
}

/** A handle of a session state was used after the session had moved on to another state. */
export class StaleHandleError extends HoldfastError {
  constructor(stateName: string, action: string, property: string) {
    super('STALE_HANDLE', `tried to ${action} '${property}' of a session that is no longer ${stateName}`);
  }
}

/** An option is out of range, or two options contradict each other. */
export class InvalidOptionsError extends HoldfastError {
  constructor(message: string) {
    super('INVALID_OPTIONS', message);
  }
}

/** A message is larger than `maxMessageBytes`. */
export class MessageTooLargeError extends HoldfastError {
  constructor(bytes: number, maxMessageBytes: number) {
    super('MESSAGE_TOO_LARGE', `a message of ${bytes} bytes exceeds maxMessageBytes (${maxMessageBytes})`);
  }
}

/** A peer announced or sent a frame larger than `maxMessageBytes`; it ends the session that it came for. */
export class FrameTooLargeError extends HoldfastError {
  constructor(expected: string, got: string, options?: ErrorOptions) {
    super('FRAME_TOO_LARGE', `expected a frame of at most ${expected} bytes, got ${got}`, options);
  }
}

/** The peer has not confirmed enough: the session's buffer is at `maxSessionBufferBytes`. */
export class SessionBufferFullError extends HoldfastError {
  /** @param what would exceed which limit */
  constructor(what: string) {
    super('SESSION_BUFFER_FULL', `${what}; heed waitForWriteReady()`);
  }
}

/** A call with an idempotency key, to a server that keeps no outcomes. Nothing was sent. */
export class IdempotencyUnsupportedError extends HoldfastError {
  constructor() {
    super(
      'IDEMPOTENCY_UNSUPPORTED',
      'the server keeps no outcomes of calls with an idempotencyKey (the extension `idempotency` was not agreed on)',
    );
  }
}

/** The session already has `maxStreamsPerSession` open calls. */
export class TooManyStreamsError extends HoldfastError {
  constructor(maxStreamsPerSession: number) {
    super('TOO_MANY_STREAMS', `the session already has ${maxStreamsPerSession} open calls (maxStreamsPerSession)`);
  }
}

/** The ledger was asked for something that contradicts what it sent. */
export class LedgerError extends HoldfastError {
  constructor(message: string) {
    super('LEDGER', message);
  }
}

/** Types of {@link ProtocolErrorEvent}: what a peer did wrong, or what a client gave up. */
export const ProtocolError = {
  /** The attempt budget is used up; nothing is dialled again by itself. */
  RetriesExceeded: 'conn_retry_exceeded',
  /** A handshake was refused, by us or by the peer; `code` says why. */
  HandshakeFailed: 'handshake_failed',
  /** A frame was no message, or its sender, receiver or `ack` cannot be true; the session ended. */
  InvalidMessage: 'invalid_message',
  /** A message could not be handed to its connection. */
  MessageSendFailure: 'message_send_failure',
} as const;

/** One of {@link ProtocolError}. */
export type ProtocolErrorType = (typeof ProtocolError)[keyof typeof ProtocolError];
