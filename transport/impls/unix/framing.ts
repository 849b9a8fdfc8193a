import { FrameTooLargeError } from '../../errors.ts';

/** A frame on a byte stream: its length as a big-endian uint32, then its bytes. */
const PREFIX_BYTES = 4;
/** What a socket reads at once is about this large; merging larger chunks would only copy them. */
const MERGE_UP_TO_BYTES = 64 * 1024;

/** What goes before a frame. */
export function prefixOf(frame: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES);
  new DataView(prefix.buffer).setUint32(0, frame.length);
  return prefix;
}

/** Cuts a byte stream into frames, however its chunks fall. Allocates only what has arrived, whatever a length claims. */
export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #onFrame: (frame: Uint8Array) => void;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #wanted = PREFIX_BYTES;
  #inBody = false;

  constructor(maxMessageBytes: number, onFrame: (frame: Uint8Array) => void) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#onFrame = onFrame;
  }

  /** Pieces kept of a frame that is not whole: grows with the logarithm of its length. */
  get chunkCount(): number {
    return this.#chunks.length;
  }

  /** @throws {FrameTooLargeError} as soon as the length is known */
  push(chunk: Uint8Array): void {
    this.#keep(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) this.#step(this.#take(this.#wanted));
  }

  /**
   * Small chunks are merged as they come, each with a neighbour no larger than itself, so that a byte at a time costs
   * neither an object a byte nor more than a few copies of it.
   */
  #keep(chunk: Uint8Array): void {
    let last = chunk;
    for (let before = this.#chunks.at(-1); before !== undefined; before = this.#chunks.at(-1)) {
      if (before.length > last.length || last.length > MERGE_UP_TO_BYTES) break;
      this.#chunks.pop();
      const merged = new Uint8Array(before.length + last.length);
      merged.set(before);
      merged.set(last, before.length);
      last = merged;
    }
    this.#chunks.push(last);
  }

  #step(bytes: Uint8Array): void {
    if (this.#inBody) {
      this.#inBody = false;
      this.#wanted = PREFIX_BYTES;
      this.#onFrame(bytes);
      return;
    }
    const length = new DataView(bytes.buffer, bytes.byteOffset, PREFIX_BYTES).getUint32(0);
    if (length > this.#maxMessageBytes) {
      throw new FrameTooLargeError(`${this.#maxMessageBytes} (maxMessageBytes)`, `the length ${length}`);
    }
    this.#inBody = true;
    this.#wanted = length;
  }

  #take(count: number): Uint8Array {
    this.#bytes -= count;
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= count) {
      if (first.length === count) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const out = new Uint8Array(count);
    let filled = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      if (part.length < chunk.length) {
        this.#chunks[used] = chunk.subarray(part.length);
        break;
      }
      used += 1;
      if (filled === count) break;
    }
    this.#chunks.splice(0, used);
    return out;
  }
}
