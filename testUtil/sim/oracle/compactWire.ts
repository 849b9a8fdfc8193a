import { detectCodec } from '../../../codec/detect.ts';

/** A message in a frame of the `compact` extension. */
export interface CompactMessage {
  readonly flags: number;
  readonly streamId: string;
  readonly isNumbered: boolean;
  readonly bytes: number;
}

/** A frame of the `compact` extension, read by the oracle's own rules (PROTOCOL.md, "compact"). */
export interface CompactFrame {
  readonly kind: 'frame';
  readonly firstSeq: number;
  readonly ack: number;
  readonly flags: number;
  /** What the sender grants: how much the other side may have sent on a stream in all. */
  readonly credits: readonly { readonly streamId: string; readonly limit: number }[];
  readonly messages: readonly CompactMessage[];
}

/** Where the frames of one direction of a connection stand: the seq after the last message, and the last ack. */
export interface Standing {
  nextSeq: number;
  ack: number;
}

const CREDITS = 2;
const FOLLOWS = 4;
const SINGLE = 8;

const NAMED = 1;
const OPEN = 2;
const NO_PAYLOAD = 16;
const KEYED = 32;
const TRACED = 64;
const DEADLINE = 128;
const STREAM_FLAGS = 14;

/** Reads from the front. What is cut short reads as noise: NaN, and nothing equals that. */
class Cursor {
  at = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    const byte = this.bytes[this.at] ?? Number.NaN;
    this.at += 1;
    return byte;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte % 128) * scale;
      if (!(byte >= 128)) return value;
      scale *= 128;
    }
  }

  text(): string {
    const length = this.number();
    const start = this.at;
    this.at += length;
    return new TextDecoder().decode(this.bytes.subarray(start, this.at));
  }
}

function isNumbered(payload: Uint8Array): boolean {
  let value: unknown;
  try {
    value = detectCodec(payload)?.fromBuffer(payload);
  } catch {
    return false; // noise, which a peer of ill will sends
  }
  return typeof value === 'object' && value !== null && 'm' in value && typeof value.m === 'number';
}

function readMessage(bytes: Uint8Array): CompactMessage {
  const cursor = new Cursor(bytes);
  const control = cursor.byte();
  const streamId = control % 2 === NAMED ? cursor.text() : String(cursor.number());
  const isOpening = (control & OPEN) !== 0;
  const texts = isOpening ? 2 + ((control & TRACED) === 0 ? 0 : 2) : 0;
  for (let i = 0; i < texts; i++) cursor.text();
  if ((control & DEADLINE) !== 0) cursor.number();
  if (isOpening && (control & KEYED) !== 0) {
    cursor.text();
    if (cursor.text() !== '') cursor.number();
  }
  const hasPayload = (control & NO_PAYLOAD) === 0;
  return {
    flags: control & STREAM_FLAGS,
    streamId,
    isNumbered: hasPayload && isNumbered(bytes.subarray(cursor.at)),
    bytes: bytes.length,
  };
}

/**
 * Reads a frame.
 * @param standing of the direction it goes; moved on
 */
export function readCompact(frame: Uint8Array, standing: Standing): CompactFrame {
  const cursor = new Cursor(frame);
  const flags = cursor.byte();
  const follows = (flags & FOLLOWS) !== 0;
  const firstSeq = follows ? standing.nextSeq : cursor.number();
  // Of what follows: the low byte of its seq.
  if (follows && cursor.byte() !== firstSeq % 256)
    return { kind: 'frame', firstSeq: Number.NaN, ack: 0, flags, credits: [], messages: [] };
  const ack = follows ? standing.ack + cursor.number() : cursor.number();
  const credits = [];
  for (let count = (flags & CREDITS) === 0 ? 0 : cursor.number(); count > 0 && cursor.at < frame.length; count--)
    credits.push({ streamId: String(cursor.number()), limit: cursor.number() });
  const messages: CompactMessage[] = [];
  while (cursor.at < frame.length) {
    const length = (flags & SINGLE) === 0 ? cursor.number() : frame.length - cursor.at;
    const end = cursor.at + length;
    messages.push(readMessage(frame.subarray(cursor.at, end)));
    cursor.at = end;
  }
  standing.nextSeq = firstSeq + messages.length;
  standing.ack = ack;
  return { kind: 'frame', firstSeq, ack, flags, credits, messages };
}
