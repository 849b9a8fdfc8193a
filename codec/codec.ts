/** Turns messages into bytes and back. Both directions throw {@link CodecError} and nothing else. */
export interface Codec {
  /** Stable, for logs and negotiation. */
  readonly name: string;
  /**
   * A property whose value is undefined is left out; undefined in an array becomes null.
   * @returns bytes that nothing writes to any more; small frames lie in one `ArrayBuffer`, so do not transfer it
   * @throws {CodecError} `CODEC_ENCODE` if the value cannot be carried
   */
  toBuffer(value: unknown): Uint8Array;
  /**
   * @param bytes a whole frame: a `Uint8Array` or `Buffer`, at any offset of its memory
   * @returns fresh values; nothing in them refers to `bytes`
   * @throws {CodecError} `CODEC_DECODE` if the bytes are not exactly one well-formed value
   */
  fromBuffer(bytes: Uint8Array): unknown;
  /**
   * The same as {@link toBuffer}, in memory that the next call writes to again: for whoever copies it at once. Optional.
   */
  toScratch?(value: unknown): Uint8Array;
  /**
   * For a frame that holds several messages: reads them as {@link fromBuffer} would, without a view for each. Optional.
   * @param bytes given away: large bytes in the last message may be a part of it
   */
  openFrame?(bytes: Uint8Array): FrameDecoder;
}

/** Reads the parts of one frame. */
export interface FrameDecoder {
  /** @throws {CodecError} `CODEC_DECODE` if the bytes from `start` to `end` are not exactly one well-formed value */
  read(start: number, end: number): unknown;
}

/** A value that no codec carries (`CODEC_ENCODE`), or bytes that are no message (`CODEC_DECODE`). */
export class CodecError extends Error {
  /** Stable, for programs; the message is for people. */
  readonly code: 'CODEC_ENCODE' | 'CODEC_DECODE';
  constructor(code: 'CODEC_ENCODE' | 'CODEC_DECODE', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CodecError';
    this.code = code;
  }
}

/**
 * Objects and arrays may lie this deep in one another; deeper is an error in both directions. Levels are counted as
 * on the wire, so in JSON bytes and bigints, which are objects there, count as one.
 */
export const MAX_NESTING = 64;
