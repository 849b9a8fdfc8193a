import type { Codec, FrameDecoder } from '../codec/codec.ts';
import { FramePool } from '../codec/framePool.ts';
import { readUtf8 } from '../codec/utf8.ts';
import { nameAt, utf8OfName } from './compactText.ts';
import { MessageTooLargeError } from './errors.ts';
import {
  ControlFlags,
  type IncomingMessage,
  isClosePayload,
  type KeyOnWire,
  type OutgoingMessage,
  REHANDSHAKE_STREAM_ID,
} from './message.ts';
import { type SharedBody, SharedPayload } from './sharedPayload.ts';
import { varintLength, writeVarint } from './varint.ts';
import { MalformedFrame } from './wire.ts';

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

const NO_CREDITS: readonly Credit[] = [];

/** Bits of a message's control byte besides {@link ControlFlags}; `AckOnly` is not among them. */
const Control = {
  /** The stream is a text. The router's streams are numbers, from 1; applications may choose their own ids. */
  Named: 1,
  /** The payload is {type: 'CLOSE'} where the message closes its half; otherwise there is none. */
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
const STREAM_FLAGS = ControlFlags.StreamOpen | ControlFlags.StreamCancel | ControlFlags.StreamClose;

/** Frames are filled up to this; only a single larger message exceeds it. */
export const TARGET_FRAME_BYTES = 64 * 1024;
/** A frame's header and a message's length take at most this much. */
export const FRAME_OVERHEAD_BYTES = 32;

const CLOSE_PAYLOAD = Object.freeze({ type: 'CLOSE' });
const NOTHING = new Uint8Array(0);
const NO_TEXTS: readonly Uint8Array[] = [];
const utf8 = new TextEncoder();
const pool = new FramePool();

function writeText(out: Uint8Array, at: number, text: Uint8Array): number {
  const start = writeVarint(out, at, text.length);
  out.set(text, start);
  return start + text.length;
}

/** The number that a stream's id is, 0 for re-handshakes; -1 where it is none and travels as a text. */
export function streamNumber(streamId: string): number {
  if (streamId === REHANDSHAKE_STREAM_ID) return 0;
  const { length } = streamId;
  if (length === 0 || length > MAX_DIGITS || streamId.charCodeAt(0) === ZERO) return -1;
  let number = 0;
  for (let i = 0; i < length; i++) {
    const digit = streamId.charCodeAt(i) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return -1;
    number = number * 10 + digit;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : -1;
}

const ZERO = 48;
/** Of 2^53 − 1. */
const MAX_DIGITS = 16;

/** True for `{ok: true, payload}` and nothing else: most of what a server says. */
function isOkResult(payload: unknown): payload is { ok: true; payload: unknown } {
  if (typeof payload !== 'object' || payload === null || !('ok' in payload) || payload.ok !== true) return false;
  return 'payload' in payload && payload.payload !== undefined && Object.keys(payload).length === 2;
}

/** Texts that only an opening message has. */
function textsOf({ serviceName = '', procedureName = '', tracing }: OutgoingMessage, isTraced: boolean): Uint8Array[] {
  const names = [utf8OfName(serviceName), utf8OfName(procedureName)];
  if (isTraced && tracing !== undefined) names.push(utf8.encode(tracing.traceparent), utf8.encode(tracing.tracestate));
  return names;
}

/**
 * Encodes one message.
 * @param deadline in session time, where it is agreed on
 * @param stream the number of its stream, where that is known already
 * @param key its idempotency key, where they are agreed on
 * @throws {CodecError} if the payload holds what the codec cannot carry
 * @throws {MessageTooLargeError}
 */
export function encodeCompact(
  codec: Codec,
  message: OutgoingMessage,
  deadline: number | undefined,
  maxMessageBytes: number,
  stream: number = streamNumber(message.streamId),
  key?: KeyOnWire | undefined,
): Uint8Array {
  const { streamId, controlFlags, tracing, payload } = message;
  const isOpening = (controlFlags & ControlFlags.StreamOpen) !== 0;
  const isTraced = isOpening && tracing !== undefined && tracing.traceparent !== '';
  let control = controlFlags & STREAM_FLAGS;
  // Encoded first: what it reads may encode something itself, and both are copied from the same memory.
  let body: Uint8Array = NOTHING;
  if (payload instanceof SharedPayload) {
    const shared = payload.bodyIn(codec, () => sharedBody(codec, payload.value));
    body = shared.bytes;
    if (shared.isOk) control |= Control.Ok;
  } else if ((controlFlags & ControlFlags.StreamClose) !== 0 && isClosePayload(payload)) {
    control |= Control.NoPayload;
  } else if (!isOpening && isOkResult(payload)) {
    body = scratch(codec, payload.payload);
    control |= Control.Ok;
  } else if (payload === undefined) control |= Control.NoPayload;
  else body = scratch(codec, payload);
  if (stream < 0) control |= Control.Named;
  if (streamId === REHANDSHAKE_STREAM_ID) control |= Control.Rehandshake;
  if (key !== undefined) control |= Control.Keyed;
  if (isTraced) control |= Control.Traced;
  if (deadline !== undefined) control |= Control.Deadline;
  const name = stream < 0 ? utf8.encode(streamId) : NOTHING;
  const texts = isOpening ? textsOf(message, isTraced) : NO_TEXTS;
  let length = 1 + varintLength(stream < 0 ? name.length : stream) + name.length + body.length;
  for (const text of texts) length += varintLength(text.length) + text.length;
  if (deadline !== undefined) length += varintLength(deadline);
  const keyed = key === undefined ? NOTHING : keyBytes(key);
  length += keyed.length;
  if (length + FRAME_OVERHEAD_BYTES > maxMessageBytes)
    throw new MessageTooLargeError(length + FRAME_OVERHEAD_BYTES, maxMessageBytes);
  const out = memoryFor(length);
  out[0] = control;
  let at = stream < 0 ? writeText(out, 1, name) : writeVarint(out, 1, stream);
  for (const text of texts) at = writeText(out, at, text);
  if (deadline !== undefined) at = writeVarint(out, at, deadline);
  if (key !== undefined) {
    out.set(keyed, at);
    at += keyed.length;
  }
  out.set(body, at);
  return out;
}

/** An empty instance, and no time, where it is a first attempt. */
function keyBytes({ key, instance, until }: KeyOnWire): Uint8Array {
  const texts = [utf8.encode(key), utf8.encode(instance ?? '')];
  let length = until === undefined ? 0 : varintLength(until);
  for (const text of texts) length += varintLength(text.length) + text.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const text of texts) at = writeText(out, at, text);
  if (until !== undefined) writeVarint(out, at, until);
  return out;
}

/** The bytes of a value, until the next one is encoded. */
function scratch(codec: Codec, value: unknown): Uint8Array {
  return codec.toScratch?.(value) ?? codec.toBuffer(value);
}

/** Of a result, which is what goes to many. */
function sharedBody(codec: Codec, value: unknown): SharedBody {
  const isOk = isOkResult(value);
  return { bytes: codec.toBuffer(isOk ? value.payload : value), isOk };
}

/** Memory for a message; before a large one there is room for the header of a frame, so that it need not be copied again. */
function memoryFor(length: number): Uint8Array {
  if (length <= FramePool.LARGEST) return pool.take(length);
  return new Uint8Array(FRAME_OVERHEAD_BYTES + length).subarray(FRAME_OVERHEAD_BYTES);
}

/** What such limits take in a frame, in bytes. */
export function creditBytes(credits: readonly Credit[]): number {
  let length = credits.length === 0 ? 0 : varintLength(credits.length);
  for (const { stream, limit } of credits) length += varintLength(stream) + varintLength(limit);
  return length;
}

/**
 * Puts encoded messages, the first of which has `firstSeq`, into one frame.
 * @param saidAck the ack of the frame before it on this connection, where this one goes on where that one ended
 */
export function encodeCompactFrame(
  firstSeq: number,
  ack: number,
  flags: number,
  messages: readonly Uint8Array[],
  credits: readonly Credit[] = NO_CREDITS,
  saidAck?: number,
): Uint8Array {
  const first = messages[0];
  const isSingle = messages.length === 1;
  const position = saidAck === undefined ? varintLength(firstSeq) + varintLength(ack) : 1 + varintLength(ack - saidAck);
  const head = 1 + position + creditBytes(credits);
  let length = head;
  for (const message of messages) length += message.length + (isSingle ? 0 : varintLength(message.length));
  const out = first !== undefined && isSingle ? frameAround(first, head, length) : take(length);
  out[0] =
    flags |
    (credits.length === 0 ? 0 : FrameFlags.Credits) |
    (saidAck === undefined ? 0 : FrameFlags.Follows) |
    (isSingle ? FrameFlags.Single : 0);
  let at: number;
  if (saidAck === undefined) at = writeVarint(out, writeVarint(out, 1, firstSeq), ack);
  else {
    out[1] = firstSeq % 256;
    at = writeVarint(out, 2, ack - saidAck);
  }
  if (credits.length > 0) at = writeVarint(out, at, credits.length);
  for (const { stream, limit } of credits) at = writeVarint(out, writeVarint(out, at, stream), limit);
  if (isSingle) return out;
  for (const message of messages) {
    at = writeVarint(out, at, message.length);
    out.set(message, at);
    at += message.length;
  }
  return out;
}

function take(length: number): Uint8Array {
  return length <= FramePool.LARGEST ? pool.take(length) : new Uint8Array(length);
}

/**
 * A frame that holds one message and room for its head. A large message has that room before it in its own memory
 * ({@link memoryFor}); what an earlier connection still has of that memory is on its way to nobody.
 */
function frameAround(message: Uint8Array, head: number, length: number): Uint8Array {
  const { buffer, byteOffset } = message;
  const hasRoom = byteOffset === FRAME_OVERHEAD_BYTES && buffer.byteLength === FRAME_OVERHEAD_BYTES + message.length;
  if (hasRoom && head <= FRAME_OVERHEAD_BYTES) return new Uint8Array(buffer, byteOffset - head, length);
  const out = take(length);
  out.set(message, head);
  return out;
}

const KNOWN_FLAGS = FrameFlags.WantReply | FrameFlags.Credits | FrameFlags.Follows | FrameFlags.Single;

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
  #decoder: FrameDecoder | undefined;
  #at = 0;
  #nextSeq: number;
  #messageBytes = 0;

  private constructor(codec: Codec, bytes: Uint8Array, seq: number, ack: number) {
    this.#codec = codec;
    this.#bytes = bytes;
    const { length } = bytes;
    this.flags = this.#byte(length);
    if ((this.flags & ~KNOWN_FLAGS) !== 0) throw new Malformed(`unknown flags ${this.flags}`);
    if ((this.flags & FrameFlags.Follows) === 0) {
      this.firstSeq = this.#varint(length);
      this.ack = this.#varint(length);
    } else {
      if (seq < 0) throw new Malformed('it follows a frame, but is the first');
      // Where it is not what follows, something between is missing: then it is the next seq with that low byte.
      this.firstSeq = seq + ((this.#byte(length) - (seq % 256) + 256) % 256);
      this.ack = ack + this.#varint(length);
    }
    this.#nextSeq = this.firstSeq;
    this.credits = (this.flags & FrameFlags.Credits) === 0 ? NO_CREDITS : this.#credits();
    if ((this.flags & FrameFlags.Single) !== 0 && !this.hasMore) throw new Malformed('its only message is not there');
  }

  /**
   * Reads the header. Never throws.
   * @param seq after the last message of the frame before it on this connection; -1 if there was none
   * @param ack of that frame
   */
  static open(codec: Codec, frame: Uint8Array, seq = -1, ack = 0): CompactFrameReader | MalformedFrame {
    try {
      return new CompactFrameReader(codec, frame, seq, ack);
    } catch (error) {
      return malformed(error);
    }
  }

  /** True while another message follows. */
  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The seq of the next message, or of the one after this frame. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Bytes of the message that was read last. */
  get messageBytes(): number {
    return this.#messageBytes;
  }

  /** Steps over the next message without decoding it. Returns why it cannot, or undefined. */
  skip(): MalformedFrame | undefined {
    try {
      this.#at = this.#endOfNext();
      this.#nextSeq += 1;
      return undefined;
    } catch (error) {
      return malformed(error);
    }
  }

  /** Decodes the next message. */
  next(): IncomingMessage | MalformedFrame {
    try {
      const end = this.#endOfNext();
      this.#messageBytes = end - this.#at;
      const message = this.#message(this.#nextSeq, end);
      this.#at = end;
      this.#nextSeq += 1;
      return message;
    } catch (error) {
      return malformed(error);
    }
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
    const { length } = this.#bytes;
    if ((this.flags & FrameFlags.Single) !== 0) return length;
    const size = this.#varint(length);
    const end = this.#at + size;
    if (end > length) throw new Malformed(`a message of ${size} bytes, but only ${length - this.#at} are left`);
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
      if ((control & Control.Traced) !== 0)
        message.tracing = { traceparent: this.#text(end), tracestate: this.#text(end) };
    }
    if ((control & Control.Deadline) !== 0) message.deadline = this.#varint(end);
    if ((control & ControlFlags.StreamOpen) !== 0 && (control & Control.Keyed) !== 0)
      message.idempotency = this.#key(end);
    message.payload = this.#payload(control, end);
    return message;
  }

  #stream(control: number, end: number): string {
    if ((control & Control.Named) !== 0) return this.#text(end);
    const stream = this.#varint(end);
    const isRehandshake = (control & (Control.Rehandshake | ControlFlags.StreamOpen)) === Control.Rehandshake;
    if ((stream === 0) !== isRehandshake) throw new Malformed(`stream ${stream}: only 0 is for re-handshakes`);
    return isRehandshake ? REHANDSHAKE_STREAM_ID : String(stream);
  }

  #key(end: number): KeyOnWire {
    // Not among the names that are used again and again.
    const key = readUtf8(this.#bytes, ...this.#span(end));
    const instance = readUtf8(this.#bytes, ...this.#span(end));
    return instance === '' ? { key } : { key, instance, until: this.#varint(end) };
  }

  #payload(control: number, end: number): unknown {
    const isOk = (control & (Control.Ok | ControlFlags.StreamOpen)) === Control.Ok;
    if ((control & Control.NoPayload) === 0) {
      const payload = this.#decode(end);
      return isOk ? { ok: true, payload } : payload;
    }
    if (this.#at !== end) throw new Malformed(`${end - this.#at} bytes after a message that has no payload`);
    if (isOk) throw new Malformed('an ok result that has no payload');
    return (control & ControlFlags.StreamClose) === 0 ? undefined : CLOSE_PAYLOAD;
  }

  #decode(end: number): unknown {
    if (this.#codec.openFrame === undefined) return this.#codec.fromBuffer(this.#bytes.subarray(this.#at, end));
    this.#decoder ??= this.#codec.openFrame(this.#bytes);
    return this.#decoder.read(this.#at, end);
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
    const [start, after] = this.#span(end);
    return nameAt(this.#bytes, start, after - start);
  }

  /** Where a text lies. */
  #span(end: number): readonly [start: number, end: number] {
    const length = this.#varint(end);
    if (length > end - this.#at) throw new Malformed(`a text of ${length} bytes, but only ${end - this.#at} are left`);
    const start = this.#at;
    this.#at += length;
    return [start, this.#at];
  }
}

function malformed(error: unknown): MalformedFrame {
  return new MalformedFrame(`compact: ${error instanceof Error ? error.message : String(error)}`);
}
