import type { Codec, FrameDecoder } from '../codec/codec.ts';
import { readUtf8 } from '../codec/utf8.ts';
import { Control, type Credit, FrameFlags, NO_CREDITS, STREAM_FLAGS } from './compactLayout.ts';
import { nameAt } from './compactText.ts';
import { ControlFlags, type IncomingMessage, type KeyOnWire, REHANDSHAKE_STREAM_ID } from './message.ts';
import { MalformedFrame } from './wire.ts';

const CLOSE_PAYLOAD = Object.freeze({ type: 'CLOSE' });
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
    const isLastOnly = (control & (ControlFlags.StreamOpen | ControlFlags.StreamClose)) === ControlFlags.StreamClose;
    return isLastOnly ? CLOSE_PAYLOAD : undefined;
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
