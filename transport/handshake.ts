import { type AcceptedExtensions, type ExtensionOffer, parseAccepted, parseOffer } from './extensions.ts';
import type { PropagationContext, TransportMessage } from './message.ts';

/**
 * HANDSHAKE_REQ  {type, protocolVersion, sessionId, expectedSessionState: {nextExpectedSeq, nextSentSeq}, metadata?, extensions?}
 * HANDSHAKE_RESP {type, status: {ok: true, sessionId, extensions?} | {ok: false, code, reason}}
 * Both are envelopes with seq 0, ack 0, controlFlags 0; they do not count.
 */

/** The only version spoken, and accepted. */
export const PROTOCOL_VERSION = 'v2.0';

/** Client ids and session ids are kept as long as their sessions: this many UTF-16 units at most. */
export const MAX_ID_LENGTH = 256;

function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH;
}

/** Codes of a refused handshake. Only `SESSION_STATE_MISMATCH` is worth another dial with a new session. */
export const HandshakeCode = {
  SessionStateMismatch: 'SESSION_STATE_MISMATCH',
  MalformedHandshake: 'MALFORMED_HANDSHAKE',
  MalformedHandshakeMeta: 'MALFORMED_HANDSHAKE_META',
  ProtocolVersionMismatch: 'PROTOCOL_VERSION_MISMATCH',
  RejectedByCustomHandler: 'REJECTED_BY_CUSTOM_HANDLER',
  RejectedUnsupportedClient: 'REJECTED_UNSUPPORTED_CLIENT',
  /** Extension: another session of the same client took this one's place. */
  SessionReplaced: 'SESSION_REPLACED',
} as const;

/** One of {@link HandshakeCode}, or a code of a newer peer. */
export type HandshakeErrorCode = (typeof HandshakeCode)[keyof typeof HandshakeCode];

/** What a validator returns to refuse a handshake. */
export type HandshakeRejectionCode = 'REJECTED_BY_CUSTOM_HANDLER' | 'REJECTED_UNSUPPORTED_CLIENT';

/** True for the two codes by which a validator refuses. */
export function isRejectionCode(value: unknown): value is HandshakeRejectionCode {
  return value === HandshakeCode.RejectedByCustomHandler || value === HandshakeCode.RejectedUnsupportedClient;
}

/** Where the client stands: `nextExpectedSeq` is its ack, `nextSentSeq` the seq of its oldest unconfirmed message, or its next. */
export interface ExpectedSessionState {
  nextExpectedSeq: number;
  nextSentSeq: number;
}

/** The payload of a handshake request. */
export interface HandshakeRequest {
  type: 'HANDSHAKE_REQ';
  protocolVersion: string;
  sessionId: string;
  expectedSessionState: ExpectedSessionState;
  metadata?: unknown;
  extensions?: ExtensionOffer | undefined;
}

/** The payload of a handshake answer. */
export interface HandshakeResponse {
  type: 'HANDSHAKE_RESP';
  status:
    | { ok: true; sessionId: string; extensions?: AcceptedExtensions | undefined }
    | { ok: false; code: string; reason: string };
}

/** The connection a handshake came on, as a validator sees it. */
export interface ConnectionInfo {
  transport: 'ws' | 'unix' | 'memory';
  /** The upgrade request's headers, lower-case names. */
  headers?: Record<string, string | string[] | undefined> | undefined;
  /** The upgrade request's path and query. */
  url?: string | undefined;
  remoteAddress?: string | undefined;
}

/** {@link ConnectionInfo}, and why the validator is asked. */
export interface HandshakePeer extends ConnectionInfo {
  reason: 'connect' | 'reconnect' | 'rehandshake';
}

/** How a server judges the metadata of a handshake. None of it is called before the request's shape was checked. */
export interface ServerHandshake {
  /** @returns why the metadata has the wrong shape, or undefined if it is fine */
  checkMetadata(metadata: unknown): string | undefined;
  /**
   * @param previous what it returned for this session before, on a reconnect or re-handshake
   * @returns the session's metadata (an object), or a {@link HandshakeRejectionCode}; may be a promise
   */
  validate(metadata: unknown, previous: object | undefined, from: string, peer: HandshakePeer): unknown;
  /** Who the metadata speaks for; a client id belongs to the principal of its live session. */
  principal?: ((metadata: object) => string) | undefined;
  /** When the credential ends (a Date or milliseconds since the epoch), or undefined if it never does. */
  expiry?: ((metadata: object) => Date | number | undefined) | undefined;
}

/** How a client makes the metadata of a handshake, anew for each. */
export interface ClientHandshake {
  /** May be a promise. A throw counts as a failed dial. */
  construct(): unknown;
}

function handshakeEnvelope(
  from: string,
  to: string,
  id: string,
  streamId: string,
  tracing: PropagationContext | undefined,
  payload: HandshakeRequest | HandshakeResponse,
): TransportMessage {
  return tracing === undefined
    ? { id, from, to, seq: 0, ack: 0, streamId, controlFlags: 0, payload }
    : { id, from, to, seq: 0, ack: 0, streamId, controlFlags: 0, tracing, payload };
}

/** The first frame of a connection. */
export function handshakeRequestMessage(
  from: string,
  to: string,
  newId: () => string,
  tracing: PropagationContext,
  request: HandshakeRequest,
): TransportMessage {
  return handshakeEnvelope(from, to, newId(), newId(), tracing, request);
}

/** The answer to it. */
export function handshakeResponseMessage(
  from: string,
  to: string,
  newId: () => string,
  status: HandshakeResponse['status'],
): TransportMessage {
  return handshakeEnvelope(from, to, newId(), newId(), undefined, { type: 'HANDSHAKE_RESP', status });
}

/** The opposite of a mistake: what {@link parseHandshakeRequest} and its like return when there is none. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; reason: string; protocolVersion?: string };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return value === null
    ? 'null'
    : typeof value === 'object'
      ? Array.isArray(value)
        ? 'an array'
        : 'an object'
      : String(value);
}

function isCounter(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0; // isSafeInteger says it is a number
}

/** Checks the payload of a connection's first frame. Unknown extensions are dropped: they are not accepted. */
export function parseHandshakeRequest(message: TransportMessage): Parsed<HandshakeRequest> {
  const bad = (reason: string): Parsed<HandshakeRequest> => ({
    ok: false,
    reason: `received invalid handshake request: ${reason}`,
  });
  const payload = message.payload;
  if (!isRecord(payload)) return bad(`payload: expected an object, got ${show(payload)}`);
  if (payload['type'] !== 'HANDSHAKE_REQ')
    return bad(`payload.type: expected "HANDSHAKE_REQ", got ${show(payload['type'])}`);
  if (message.seq !== 0 || message.ack !== 0 || message.controlFlags !== 0) {
    return bad(
      `expected seq 0, ack 0 and controlFlags 0, got ${message.seq}, ${message.ack} and ${message.controlFlags}`,
    );
  }
  const { protocolVersion, sessionId, expectedSessionState: state, metadata, extensions } = payload;
  if (typeof protocolVersion !== 'string')
    return bad(`protocolVersion: expected a string, got ${show(protocolVersion)}`);
  if (protocolVersion !== PROTOCOL_VERSION) {
    return {
      ok: false,
      reason: `expected protocol version ${PROTOCOL_VERSION}, got ${show(protocolVersion)}`,
      protocolVersion,
    };
  }
  if (!isId(sessionId)) return bad(`sessionId: expected 1 to ${MAX_ID_LENGTH} characters, got ${show(sessionId)}`);
  if (message.from.length > MAX_ID_LENGTH)
    return bad(`from: expected at most ${MAX_ID_LENGTH} characters, got ${message.from.length}`);
  if (!isRecord(state)) return bad(`expectedSessionState: expected an object, got ${show(state)}`);
  const { nextExpectedSeq, nextSentSeq } = state;
  if (!isCounter(nextExpectedSeq))
    return bad(`nextExpectedSeq: expected an integer from 0, got ${show(nextExpectedSeq)}`);
  if (!isCounter(nextSentSeq)) return bad(`nextSentSeq: expected an integer from 0, got ${show(nextSentSeq)}`);
  const request: HandshakeRequest = {
    type: 'HANDSHAKE_REQ',
    protocolVersion,
    sessionId,
    expectedSessionState: { nextExpectedSeq, nextSentSeq },
    metadata,
  };
  if (extensions !== undefined) {
    const offer = parseOffer(extensions);
    if (!offer.ok) return bad(offer.reason);
    request.extensions = offer.value;
  }
  return { ok: true, value: request };
}

/** Checks the payload of a server's first frame. */
export function parseHandshakeResponse(message: TransportMessage): Parsed<HandshakeResponse> {
  const bad = (reason: string): Parsed<HandshakeResponse> => ({
    ok: false,
    reason: `received invalid handshake response: ${reason}`,
  });
  const payload = message.payload;
  if (!isRecord(payload)) return bad(`payload: expected an object, got ${show(payload)}`);
  if (payload['type'] !== 'HANDSHAKE_RESP')
    return bad(`payload.type: expected "HANDSHAKE_RESP", got ${show(payload['type'])}`);
  if (message.seq !== 0 || message.ack !== 0 || message.controlFlags !== 0) {
    return bad(
      `expected seq 0, ack 0 and controlFlags 0, got ${message.seq}, ${message.ack} and ${message.controlFlags}`,
    );
  }
  const status = payload['status'];
  if (!isRecord(status)) return bad(`status: expected an object, got ${show(status)}`);
  if (status['ok'] === true) {
    if (typeof status['sessionId'] !== 'string')
      return bad(`status.sessionId: expected a string, got ${show(status['sessionId'])}`);
    if (status['extensions'] === undefined) {
      return { ok: true, value: { type: 'HANDSHAKE_RESP', status: { ok: true, sessionId: status['sessionId'] } } };
    }
    const extensions = parseAccepted(status['extensions']);
    if (!extensions.ok) return bad(extensions.reason);
    return {
      ok: true,
      value: {
        type: 'HANDSHAKE_RESP',
        status: { ok: true, sessionId: status['sessionId'], extensions: extensions.value },
      },
    };
  }
  if (status['ok'] !== false) return bad(`status.ok: expected a boolean, got ${show(status['ok'])}`);
  if (typeof status['code'] !== 'string') return bad(`status.code: expected a string, got ${show(status['code'])}`);
  const reason = typeof status['reason'] === 'string' ? status['reason'] : '';
  return { ok: true, value: { type: 'HANDSHAKE_RESP', status: { ok: false, code: status['code'], reason } } };
}
