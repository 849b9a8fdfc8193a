/**
 * Whoever keeps one frame of it keeps all of it: a peer that confirms nothing may be sent one small frame between many of
 * others. With what is counted for a message beside its bytes that is some nine times as much memory as is counted.
 */
const POOL_BYTES = 2048;
const encoder = new TextEncoder();

/**
 * Memory for small frames, several to an allocation: an `ArrayBuffer` of its own costs a frame of 130 bytes 450 ns in
 * Node 20, a part of a shared one 120. Large frames get their own.
 */
export class FramePool {
  /** Larger frames get memory of their own. */
  static readonly LARGEST = 512;
  #pool = new Uint8Array(0);
  #used = 0;

  /** Memory for a frame of at most {@link FramePool.LARGEST} bytes. What was in it is not cleared. */
  take(length: number): Uint8Array {
    this.#makeRoom(length);
    return this.#give(length);
  }

  /** A copy of the bytes that nothing will ever write to again. */
  keep(bytes: Uint8Array): Uint8Array {
    // Not `slice`: a Buffer's would be another view of the same memory.
    if (bytes.length > FramePool.LARGEST) return new Uint8Array(bytes);
    this.#makeRoom(bytes.length);
    this.#pool.set(bytes, this.#used);
    return this.#give(bytes.length);
  }

  /** The UTF-8 of a text, in memory that nothing will ever write to again. */
  keepUtf8(text: string): Uint8Array {
    // A UTF-16 unit takes three bytes at most.
    const most = text.length * 3;
    if (most > 3 * FramePool.LARGEST) return encoder.encode(text);
    this.#makeRoom(most);
    return this.#give(encoder.encodeInto(text, this.#pool.subarray(this.#used)).written);
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#pool.length) return;
    this.#pool = new Uint8Array(POOL_BYTES);
    this.#used = 0;
  }

  #give(length: number): Uint8Array {
    const start = this.#used;
    this.#used += length;
    return this.#pool.subarray(start, this.#used);
  }
}
