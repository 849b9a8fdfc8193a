/**
 * The envelope every message travels in, its control flags, and one builder per control message.
 * Field order in the builders is the order on the wire; absent fields are omitted, never undefined.
 * @see PROTOCOL.md, "Envelope"
 */

import type { Clock } from './clock.ts';

/** Bits of {@link TransportMessage.controlFlags}. */
export const ControlFlags = {
  /** Carries nothing but its `ack`. */
  AckOnly: 1,
  /** Opens a stream. */
  StreamOpen: 2,
  /** Ends both halves of a stream at once; the payload is an error result. */
  StreamCancel: 4,
  /** Closes the sender's half of a stream. */
  StreamClose: 8,
} as const;

/** Reserved stream of heartbeats and explicit acknowledgements. */
export const HEARTBEAT_STREAM_ID = 'heartbeat';
/** Reserved stream of re-handshakes. */
export const REHANDSHAKE_STREAM_ID = 'rehandshake';

/** W3C trace context, carried on opening messages and handshakes. Both strings are empty where nothing is traced. */
export interface PropagationContext {
  traceparent: string;
  tracestate: string;
}

/** What a message carries where nobody traces: River always sends the field. */
export const NO_TRACE: PropagationContext = Object.freeze({ traceparent: '', tracestate: '' });

/** What makes a call repeatable, as it is on the wire. */
export interface KeyOnWire {
  key: string;
  /** Of a repeat only, with {@link until}: where the first attempt went. */
  instance?: string | undefined;
  /** Of a repeat only: from here on nobody can tell whether the first attempt was executed. Milliseconds of session time. */
  until?: number | undefined;
}

/** The first attempt of a keyed call, as a repeat of it names it. */
export interface FirstAttempt {
  /** The memory that it went to. */
  readonly instance: string;
  /** When that memory may have forgotten it, in milliseconds of the local `Clock.now()`. */
  readonly knownUntil: number;
  /** The same in milliseconds since the epoch, of an attempt of our own: while a device sleeps, `Clock.now()` may stand still. */
  readonly knownUntilWall?: number | undefined;
}

/** For how much longer that memory knows of it, in milliseconds. */
export function knownForMs({ knownUntil, knownUntilWall = Infinity }: FirstAttempt, clock: Clock): number {
  return Math.min(knownUntil - clock.now(), knownUntilWall - clock.wallNow());
}

/** What makes a call repeatable, as the router says and hears it. */
export interface CallKey {
  readonly key: string;
  /** Absent from a first attempt. */
  readonly first?: FirstAttempt | undefined;
}

/** One message as it is on the wire. */
export interface TransportMessage {
  /** Unique per message; for people who read logs. */
  id: string;
  /** Client id of the sender. */
  from: string;
  /** Client id of the receiver. */
  to: string;
  /** Position in the sender's session, from 0. */
  seq: number;
  /** The next `seq` the sender expects. */
  ack: number;
  /** Groups the messages of one call. */
  streamId: string;
  /** Sum of {@link ControlFlags}. */
  controlFlags: number;
  /** On the opening message. */
  serviceName?: string | undefined;
  /** On the opening message. */
  procedureName?: string | undefined;
  /** On the opening message and the handshake. */
  tracing?: PropagationContext | undefined;
  /** On the opening message where the `deadline` extension was accepted: milliseconds of session time. */
  deadline?: number | undefined;
  /** On the opening message of an rpc where the `idempotency` extension was accepted. */
  idempotency?: KeyOnWire | undefined;
  payload: unknown;
}

/** A message as a stream receives it: `deadlineAt` is the deadline on this side's clock. */
export interface IncomingMessage extends TransportMessage {
  /** Milliseconds of the local `Clock.now()`, where the message carried a deadline. */
  deadlineAt?: number | undefined;
  /** Where the message carried an idempotency key, and both sides agreed on them. */
  callKey?: CallKey | undefined;
  /** What it cost its sender; absent for opening, closing and cancelling. */
  cost?: number | undefined;
  /** Of an opening message: all sessions together hold so much that its stream must not be opened. */
  hasNoRoom?: boolean | undefined;
  /** Set by a receiver that keeps the message for later: it then says `consumed` itself, once it was read. */
  isHeld?: boolean | undefined;
}

/** What a sender says; the session adds ids, `seq` and `ack`. */
export interface OutgoingMessage {
  streamId: string;
  controlFlags: number;
  serviceName?: string | undefined;
  procedureName?: string | undefined;
  tracing?: PropagationContext | undefined;
  /** Milliseconds of the local `Clock.now()`; sent only to a peer that accepted the `deadline` extension. */
  deadlineAt?: number | undefined;
  /** Only to a peer that accepted the `idempotency` extension; to any other the message is refused. */
  callKey?: CallKey | undefined;
  /** Plain data, or a `SharedPayload` of it. */
  payload: unknown;
}

/** True for heartbeats and explicit acknowledgements. */
export function isAckOnly(controlFlags: number): boolean {
  return (controlFlags & ControlFlags.AckOnly) !== 0;
}

/** True for the message that opens a stream. */
export function isStreamOpen(controlFlags: number): boolean {
  return (controlFlags & ControlFlags.StreamOpen) !== 0;
}

/** True for a message that ends both halves of its stream. */
export function isStreamCancel(controlFlags: number): boolean {
  return (controlFlags & ControlFlags.StreamCancel) !== 0;
}

/** True for the last message of the sender's half. */
export function isStreamClose(controlFlags: number): boolean {
  return (controlFlags & ControlFlags.StreamClose) !== 0;
}

/** True for what a River peer takes for the close control where a half may end: anything of type `CLOSE`. */
export function isClosePayload(payload: unknown): payload is object {
  return typeof payload === 'object' && payload !== null && 'type' in payload && payload.type === 'CLOSE';
}

/** True for the close control: it only closes a half. An init or a last value may have a `type` of its own. */
export function isCloseControl(controlFlags: number, payload: unknown): boolean {
  const isLastOnly = (controlFlags & (ControlFlags.StreamOpen | ControlFlags.StreamClose)) === ControlFlags.StreamClose;
  return isLastOnly && isClosePayload(payload) && Object.keys(payload).length === 1;
}

/** A heartbeat, or an acknowledgement between heartbeats: both look the same on River's wire. */
export function ackMessage(): OutgoingMessage {
  return { streamId: HEARTBEAT_STREAM_ID, controlFlags: ControlFlags.AckOnly, payload: { type: 'ACK' } };
}

/** Closes the sender's half of a stream. */
export function closeMessage(streamId: string): OutgoingMessage {
  return { streamId, controlFlags: ControlFlags.StreamClose, payload: { type: 'CLOSE' } };
}

/** Ends both halves of a stream with an error result. */
export function cancelMessage(streamId: string, payload: unknown): OutgoingMessage {
  return { streamId, controlFlags: ControlFlags.StreamCancel, payload };
}

/** The server asks for fresh handshake metadata. */
export function rehandshakeRequest(): OutgoingMessage {
  return { streamId: REHANDSHAKE_STREAM_ID, controlFlags: 0, payload: { type: 'REHANDSHAKE_REQ' } };
}

/** The client's fresh handshake metadata. */
export function rehandshakeResponse(metadata: unknown): OutgoingMessage {
  const payload = metadata === undefined ? { type: 'REHANDSHAKE_RESP' } : { type: 'REHANDSHAKE_RESP', metadata };
  return { streamId: REHANDSHAKE_STREAM_ID, controlFlags: 0, payload };
}
