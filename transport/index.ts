export { BufferBudget } from './budget.ts';
export { ClientTransport } from './client.ts';
export { type CancelTimer, type Clock, systemClock } from './clock.ts';
export { Connection, type ConnectionReceiver } from './connection.ts';
export {
  FrameTooLargeError,
  HoldfastError,
  InvalidOptionsError,
  LedgerError,
  MessageTooLargeError,
  ProtocolError,
  type ProtocolErrorType,
  SessionBufferFullError,
  SessionClosedError,
  StaleHandleError,
  TooManyStreamsError,
  TransportClosedError,
} from './errors.ts';
export type { EndedSession, TransportEventName, TransportEvents, TransportListener } from './events.ts';
export type { AcceptedExtensions, ExtensionOffer, ResumeAnswer, ResumeOffer } from './extensions.ts';
export {
  type ClientHandshake,
  type ConnectionInfo,
  HandshakeCode,
  type HandshakeErrorCode,
  type HandshakePeer,
  type HandshakeRejectionCode,
  type HandshakeRequest,
  type HandshakeResponse,
  PROTOCOL_VERSION,
  type ServerHandshake,
} from './handshake.ts';
export { BoundLogger, type LogFields, type LogFn, type Logger, type LogLevel } from './log.ts';
export {
  ControlFlags,
  HEARTBEAT_STREAM_ID,
  type IncomingMessage,
  type OutgoingMessage,
  type PropagationContext,
  REHANDSHAKE_STREAM_ID,
  type TransportMessage,
} from './message.ts';
export type {
  ClientTransportOptions,
  ExtensionOptions,
  ServerTransportOptions,
  SettledClientOptions,
  SettledServerOptions,
  SettledTransportOptions,
  TransportOptions,
} from './options.ts';
export { ServerTransport } from './server.ts';
export { SessionState } from './session/common.ts';
export type { Dial, DialCallbacks } from './session/SessionConnecting.ts';
export type { ClientSession, ServerSession, Session } from './session/transitions.ts';
export type { SessionEnd, SessionPort, StreamOpener, StreamReceiver } from './stream.ts';
export type { OpenTelemetryApi, Span, Telemetry, TracedSpan } from './telemetry.ts';
export { Transport } from './transport.ts';
