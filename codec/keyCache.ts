interface Entry {
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Slots; a key has one place only and takes it from whoever is there. */
const SLOTS = 1024;

/**
 * Strings for the keys that messages repeat, so that a key is compared instead of decoded. Bounded: a peer that sends
 * ever new keys makes it useless, not large.
 */
export class KeyCache {
  /** Longer keys are not kept. */
  static readonly MAX_LENGTH = 31;
  readonly #slots: (Entry | undefined)[] = new Array(SLOTS).fill(undefined);

  #slotOf(bytes: Uint8Array, start: number, length: number): number {
    // `?? 0` stands in for what an empty key does not have.
    const first = bytes[start] ?? 0;
    const middle = bytes[start + (length >> 1)] ?? 0;
    const last = bytes[start + length - 1] ?? 0;
    return ((length * 31 + first) * 31 + middle * 7 + last) & (SLOTS - 1);
  }

  /** The key whose UTF-8 these bytes are, if it is kept. */
  find(bytes: Uint8Array, start: number, length: number): string | undefined {
    const entry = this.#slots[this.#slotOf(bytes, start, length)];
    if (entry === undefined || entry.bytes.length !== length) return undefined;
    for (let index = 0; index < length; index++) {
      if (entry.bytes[index] !== bytes[start + index]) return undefined;
    }
    return entry.text;
  }

  /** Keeps a copy of the bytes with their text, and returns the text. */
  add(bytes: Uint8Array, start: number, length: number, text: string): string {
    // Not `slice`, which shares the memory where the bytes are a Buffer.
    const copy = new Uint8Array(bytes.subarray(start, start + length));
    this.#slots[this.#slotOf(bytes, start, length)] = { bytes: copy, text };
    return text;
  }
}
