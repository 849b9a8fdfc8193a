import type { Codec } from '../codec/codec.ts';
import { MessageTooLargeError } from './errors.ts';
import {
  ControlFlags,
  type IncomingMessage,
  isClosePayload,
  type OutgoingMessage,
  REHANDSHAKE_STREAM_ID,
} from './message.ts';
import { MalformedFrame } from './wire.ts';

/**
 * The `compact` extension: frames of many messages, without what the session implies.
 *
 *   frame    firstSeq: varint, ack: varint, flags: byte, [count: varint, (stream: varint, limit: varint)*], message*
 *   message  length: varint, control: byte, stream: varint or text, [service: text, procedure: text], [traceparent: text,
 *            tracestate: text], [deadline: varint], payload: the rest, in the session's codec
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
} as const;

/** A limit that the sender of a frame grants. */
export interface Credit {
  /** A stream's number. */
  readonly stream: number;
  /** Absolute: what the receiver of the frame may have sent on it in all. */
  readonly limit: number;
}

const NO_CREDITS: readonly Credit[] = [];

/** Bits of a message's control byte besides {@link ControlFlags}; `AckOnly` is not among them. */
const Control = {
  /** The stream is a text. The router's streams are numbers, from 1; applications may choose their own ids. */
  Named: 1,
  /** The payload is {type: 'CLOSE'} where the message closes its half; otherwise there is none. */
  NoPayload: 16,
  Rehandshake: 32,
  Traced: 64,
  Deadline: 128,
} as const;
const STREAM_FLAGS = ControlFlags.StreamOpen | ControlFlags.StreamCancel | ControlFlags.StreamClose;

/** Frames are filled up to this; only a single larger message exceeds it. */
export const TARGET_FRAME_BYTES = 64 * 1024;
/** A frame's header and a message's length take at most this much. */
export const FRAME_OVERHEAD_BYTES = 32;

const CLOSE_PAYLOAD = Object.freeze({ type: 'CLOSE' });
const NOTHING = new Uint8Array(0);
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { fatal: true });

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1;
  return length;
}

function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let end = at;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out[end++] = (rest % 128) + 128;
  out[end++] = rest;
  return end;
}

function writeText(out: Uint8Array, at: number, text: Uint8Array): number {
  const start = writeVarint(out, at, text.length);
  out.set(text, start);
  return start + text.length;
}

/** The number that a stream's id is, 0 for re-handshakes; -1 where it is none and travels as a text. */
export function streamNumber(streamId: string): number {
  if (streamId === REHANDSHAKE_STREAM_ID) return 0;
  const number = Number(streamId);
  return Number.isSafeInteger(number) && number > 0 && String(number) === streamId ? number : -1;
}

function controlOf(
  message: OutgoingMessage,
  stream: number,
  deadline: number | undefined,
  hasPayload: boolean,
): number {
  let control = message.controlFlags & STREAM_FLAGS;
  if (stream < 0) control |= Control.Named;
  if (!hasPayload) control |= Control.NoPayload;
  if (message.streamId === REHANDSHAKE_STREAM_ID) control |= Control.Rehandshake;
  if (message.tracing !== undefined && message.tracing.traceparent !== '') control |= Control.Traced;
  if (deadline !== undefined) control |= Control.Deadline;
  return control;
}

/**
 * Encodes one message, its length included.
 * @param deadline in session time, where it is agreed on
 * @throws {CodecError} if the payload holds what the codec cannot carry
 * @throws {MessageTooLargeError}
 */
export function encodeCompact(
  codec: Codec,
  message: OutgoingMessage,
  deadline: number | undefined,
  maxMessageBytes: number,
): Uint8Array {
  const { streamId, controlFlags, serviceName = '', procedureName = '', tracing, payload } = message;
  const isBareClose = (controlFlags & ControlFlags.StreamClose) !== 0 && isClosePayload(payload);
  const body = isBareClose || payload === undefined ? NOTHING : codec.toBuffer(payload);
  const stream = streamNumber(streamId);
  const control = controlOf(message, stream, deadline, body !== NOTHING);
  const name = stream < 0 ? utf8.encode(streamId) : NOTHING;
  const isOpening = (controlFlags & ControlFlags.StreamOpen) !== 0;
  const names = isOpening ? [utf8.encode(serviceName), utf8.encode(procedureName)] : NO_TEXTS;
  const traces =
    tracing === undefined || (control & Control.Traced) === 0
      ? NO_TEXTS
      : [utf8.encode(tracing.traceparent), utf8.encode(tracing.tracestate)];
  let length = 1 + varintLength(stream < 0 ? name.length : stream) + name.length + body.length;
  for (const text of names) length += varintLength(text.length) + text.length;
  for (const text of traces) length += varintLength(text.length) + text.length;
  if (deadline !== undefined) length += varintLength(deadline);
  if (length + FRAME_OVERHEAD_BYTES > maxMessageBytes)
    throw new MessageTooLargeError(length + FRAME_OVERHEAD_BYTES, maxMessageBytes);
  const out = new Uint8Array(varintLength(length) + length);
  let at = writeVarint(out, 0, length);
  out[at++] = control;
  at = stream < 0 ? writeText(out, at, name) : writeVarint(out, at, stream);
  for (const text of names) at = writeText(out, at, text);
  for (const text of traces) at = writeText(out, at, text);
  if (deadline !== undefined) at = writeVarint(out, at, deadline);
  out.set(body, at);
  return out;
}

const NO_TEXTS: readonly Uint8Array[] = [];

/** What such limits take in a frame, in bytes. */
export function creditBytes(credits: readonly Credit[]): number {
  let length = credits.length === 0 ? 0 : varintLength(credits.length);
  for (const { stream, limit } of credits) length += varintLength(stream) + varintLength(limit);
  return length;
}

/** Puts encoded messages, the first of which has `firstSeq`, into one frame. */
export function encodeCompactFrame(
  firstSeq: number,
  ack: number,
  flags: number,
  messages: readonly Uint8Array[],
  credits: readonly Credit[] = NO_CREDITS,
): Uint8Array {
  let length = varintLength(firstSeq) + varintLength(ack) + 1 + creditBytes(credits);
  for (const message of messages) length += message.length;
  const out = new Uint8Array(length);
  let at = writeVarint(out, 0, firstSeq);
  at = writeVarint(out, at, ack);
  out[at++] = credits.length === 0 ? flags : flags | FrameFlags.Credits;
  if (credits.length > 0) at = writeVarint(out, at, credits.length);
  for (const { stream, limit } of credits) at = writeVarint(out, writeVarint(out, at, stream), limit);
  for (const message of messages) {
    out.set(message, at);
    at += message.length;
  }
  return out;
}

const KNOWN_FLAGS = FrameFlags.WantReply | FrameFlags.Credits;

/** Thrown within this module only: the bytes are no frame. */
class Malformed extends Error {}

/** Reads one frame, message by message. Nothing of a message is decoded before it is asked for. */
export class CompactFrameReader {
  readonly firstSeq: number;
  readonly ack: number;
  readonly flags: number;
  readonly credits: readonly Credit[];
  readonly #bytes: Uint8Array;
  readonly #codec: Codec;
  #at = 0;

  private constructor(codec: Codec, bytes: Uint8Array) {
    this.#codec = codec;
    this.#bytes = bytes;
    this.firstSeq = this.#varint(bytes.length);
    this.ack = this.#varint(bytes.length);
    this.flags = this.#byte(bytes.length);
    if ((this.flags & ~KNOWN_FLAGS) !== 0) throw new Malformed(`unknown flags ${this.flags}`);
    this.credits = (this.flags & FrameFlags.Credits) === 0 ? NO_CREDITS : this.#credits();
  }

  /** Reads the header. Never throws. */
  static open(codec: Codec, frame: Uint8Array): CompactFrameReader | MalformedFrame {
    try {
      return new CompactFrameReader(codec, frame);
    } catch (error) {
      return malformed(error);
    }
  }

  /** True while another message follows. */
  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** Steps over the next message without decoding it. Returns why it cannot, or undefined. */
  skip(): MalformedFrame | undefined {
    try {
      this.#at = this.#endOfNext();
      return undefined;
    } catch (error) {
      return malformed(error);
    }
  }

  /**
   * Decodes the next message.
   * @param seq its position in the session, which the frame implies
   */
  next(seq: number): IncomingMessage | MalformedFrame {
    try {
      const end = this.#endOfNext();
      const message = this.#message(seq, end);
      this.#at = end;
      return message;
    } catch (error) {
      return malformed(error);
    }
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  #credits(): Credit[] {
    const { length } = this.#bytes;
    const credits: Credit[] = [];
    // As many as are there: a count alone must not make room for anything.
    for (let count = this.#varint(length); count > 0; count--)
      credits.push({ stream: this.#varint(length), limit: this.#varint(length) });
    return credits;
  }

  #endOfNext(): number {
    const length = this.#varint(this.#bytes.length);
    const end = this.#at + length;
    if (end > this.#bytes.length)
      throw new Malformed(`a message of ${length} bytes, but only ${this.#bytes.length - this.#at} are left`);
    return end;
  }

  #message(seq: number, end: number): IncomingMessage {
    const control = this.#byte(end);
    const streamId = this.#stream(control, end);
    const message: IncomingMessage = {
      id: '',
      from: '',
      to: '',
      seq,
      ack: this.ack,
      streamId,
      controlFlags: control & STREAM_FLAGS,
      payload: undefined,
    };
    if ((control & ControlFlags.StreamOpen) !== 0) {
      message.serviceName = this.#text(end);
      message.procedureName = this.#text(end);
    }
    if ((control & Control.Traced) !== 0)
      message.tracing = { traceparent: this.#text(end), tracestate: this.#text(end) };
    if ((control & Control.Deadline) !== 0) message.deadline = this.#varint(end);
    message.payload = this.#payload(control, end);
    return message;
  }

  #stream(control: number, end: number): string {
    if ((control & Control.Named) !== 0) return this.#text(end);
    const stream = this.#varint(end);
    const isRehandshake = (control & Control.Rehandshake) !== 0;
    if ((stream === 0) !== isRehandshake) throw new Malformed(`stream ${stream}: only 0 is for re-handshakes`);
    return isRehandshake ? REHANDSHAKE_STREAM_ID : String(stream);
  }

  #payload(control: number, end: number): unknown {
    if ((control & Control.NoPayload) === 0) return this.#codec.fromBuffer(this.#bytes.subarray(this.#at, end));
    if (this.#at !== end) throw new Malformed(`${end - this.#at} bytes after a message that has no payload`);
    return (control & ControlFlags.StreamClose) === 0 ? undefined : CLOSE_PAYLOAD;
  }

  #byte(end: number): number {
    const byte = this.#at < end ? this.#bytes[this.#at] : undefined;
    if (byte === undefined) throw new Malformed('it ends too early');
    this.#at += 1;
    return byte;
  }

  #varint(end: number): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte(end);
      value += (byte & 127) * scale;
      if (value > Number.MAX_SAFE_INTEGER || scale > 2 ** 49) throw new Malformed('a number above 2^53 − 1');
      if (byte < 128) return value;
    }
  }

  #text(end: number): string {
    const length = this.#varint(end);
    if (length > end - this.#at) throw new Malformed(`a text of ${length} bytes, but only ${end - this.#at} are left`);
    const start = this.#at;
    this.#at += length;
    return fromUtf8.decode(this.#bytes.subarray(start, this.#at));
  }
}

function malformed(error: unknown): MalformedFrame {
  return new MalformedFrame(`compact: ${error instanceof Error ? error.message : String(error)}`);
}
