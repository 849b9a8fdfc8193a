import { ControlFlags } from './message.ts';

/**
 * The `compact` extension: frames of many messages, without what the session implies.
 *
 *   frame    flags: byte, firstSeq: varint, ack: varint,      (or, in a frame that follows another: firstSeq modulo 256: byte, ackStep: varint)
 *            [count: varint, (stream: varint, limit: varint)*], (length: varint, message)*   (or one message: the rest)
 *   message  control: byte, stream: varint or text, [service: text, procedure: text], [traceparent: text,
 *            tracestate: text], [deadline: varint], [key: text, instance: text, [until: varint]], payload: the rest, in
 *            the session's codec
 *   varint   7 bits a byte, lowest first, the high bit set on all but the last; at most 2^53 − 1
 *   text     length in bytes: varint, UTF-8
 *
 * A message does not depend on others, so that what was encoded once stays valid on the next connection.
 * @see PROTOCOL.md, "compact"
 */

/** Bits of a frame's flags. */
export const FrameFlags = {
  /** The server's beat: answered at once by an empty frame. */
  WantReply: 1,
  /** Limits of streams follow: how many, then each. */
  Credits: 2,
  /**
   * It goes on where the frame before it on this connection ended: it says only how much `ack` has grown, and so much of
   * `firstSeq` that a frame which was lost on the way is noticed.
   */
  Follows: 4,
  /** One message, which takes the rest of the frame. */
  Single: 8,
} as const;

/** A limit that the sender of a frame grants. */
export interface Credit {
  /** A stream's number. */
  readonly stream: number;
  /** Absolute: what the receiver of the frame may have sent on it in all. */
  readonly limit: number;
}

/** What a limit takes in a frame, at most: two varints of numbers up to 2^53. */
export const MOST_CREDIT_BYTES = 16;

/** Most frames tell none. */
export const NO_CREDITS: readonly Credit[] = [];

/** Bits of a message's control byte besides {@link ControlFlags}; `AckOnly` is not among them. */
export const Control = {
  /** The stream is a text. The router's streams are numbers, from 1; applications may choose their own ids. */
  Named: 1,
  /** The payload is {type: 'CLOSE'} where the message only closes its half; otherwise there is none. */
  NoPayload: 16,
  /** Of a message that does not open: the stream is 0. */
  Rehandshake: 32,
  /** Of a message that opens: it has an idempotency key. */
  Keyed: 32,
  /** Of a message that opens. */
  Traced: 64,
  /** Of one that does not: the payload is what an ok result carries. */
  Ok: 64,
  Deadline: 128,
} as const;
/** Of a message's control byte, what River's messages have, too. */
export const STREAM_FLAGS = ControlFlags.StreamOpen | ControlFlags.StreamCancel | ControlFlags.StreamClose;
