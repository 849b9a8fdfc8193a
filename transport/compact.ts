import type { Codec } from '../codec/codec.ts';
import { FramePool } from '../codec/framePool.ts';
import { Control, type Credit, FrameFlags, NO_CREDITS, STREAM_FLAGS } from './compactLayout.ts';
import { utf8OfName } from './compactText.ts';
import { MessageTooLargeError } from './errors.ts';
import {
  ControlFlags,
  isCloseControl,
  type KeyOnWire,
  type OutgoingMessage,
  REHANDSHAKE_STREAM_ID,
} from './message.ts';
import { type SharedBody, SharedPayload } from './sharedPayload.ts';
import { varintLength, writeVarint } from './varint.ts';

/** Frames are filled up to this; only a single larger message exceeds it. */
export const TARGET_FRAME_BYTES = 64 * 1024;
/** A frame's header and a message's length take at most this much. */
export const FRAME_OVERHEAD_BYTES = 32;

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
  if (payload instanceof SharedPayload && controlFlags === 0 && stream > 0)
    return sharedMessage(codec, payload, stream, maxMessageBytes);
  const isOpening = (controlFlags & ControlFlags.StreamOpen) !== 0;
  const isTraced = isOpening && tracing !== undefined && tracing.traceparent !== '';
  let control = controlFlags & STREAM_FLAGS;
  // Encoded first: what it reads may encode something itself, and both are copied from the same memory.
  let body: Uint8Array = NOTHING;
  if (payload instanceof SharedPayload) {
    const shared = payload.bodyIn(codec, () => sharedBody(codec, payload.value));
    body = shared.bytes;
    if (shared.isOk) control |= Control.Ok;
  } else if (isCloseControl(controlFlags, payload)) {
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
  assertFits(length, maxMessageBytes);
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
  return { bytes: codec.toBuffer(isOk ? value.payload : value), isOk, messages: new Map() };
}

/** A message that many streams have, and nothing of its own but the number of its stream: those of one number are one. */
function sharedMessage(codec: Codec, payload: SharedPayload, stream: number, maxMessageBytes: number): Uint8Array {
  const { bytes, isOk, messages } = payload.bodyIn(codec, () => sharedBody(codec, payload.value));
  const length = 1 + varintLength(stream) + bytes.length;
  assertFits(length, maxMessageBytes);
  const known = messages.get(stream);
  if (known !== undefined) return known;
  // A large one of the first has room for the header of a frame, which its session writes into; the others would have to share that.
  const isOwn = length > FramePool.LARGEST && !messages.has(stream);
  const out = isOwn ? memoryFor(length) : take(length);
  out[0] = isOk ? Control.Ok : 0;
  out.set(bytes, writeVarint(out, 1, stream));
  messages.set(stream, isOwn ? undefined : out);
  return out;
}

function assertFits(length: number, maxMessageBytes: number): void {
  if (length + FRAME_OVERHEAD_BYTES > maxMessageBytes)
    throw new MessageTooLargeError(length + FRAME_OVERHEAD_BYTES, maxMessageBytes);
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
