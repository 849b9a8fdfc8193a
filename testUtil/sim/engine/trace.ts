/** One line of a readable trace. */
export interface TraceLine {
  /** Milliseconds of virtual time. */
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** `time who what`, in columns. */
export function formatTrace(lines: readonly TraceLine[]): string {
  return lines.map(({ at, who, what }) => `${at.toFixed(3).padStart(12)}  ${who.padEnd(12)} ${what}`).join('\n');
}

/**
 * What happened, as a hash that every event goes into, and as text where somebody wants to read it. Two runs are the same
 * run if their hashes are equal.
 */
export class Trace {
  readonly #lines: TraceLine[] | undefined;
  readonly #double = new Float64Array(1);
  readonly #words = new Uint32Array(this.#double.buffer);
  #a = 0x9e3779b9;
  #b = 0x85ebca6b;

  constructor(isReadable: boolean) {
    this.#lines = isReadable ? [] : undefined;
  }

  /** True where text is wanted: nobody makes any otherwise. */
  get isReadable(): boolean {
    return this.#lines !== undefined;
  }

  get lines(): readonly TraceLine[] {
    return this.#lines ?? [];
  }

  /** Sixteen hexadecimal digits. */
  get hash(): string {
    return [this.#a, this.#b].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** Takes any number into the hash, every bit of it. */
  mix(value: number): void {
    this.#double[0] = value;
    const low = this.#words[0] ?? 0;
    const high = this.#words[1] ?? 0;
    this.#a = Math.imul(this.#a ^ low, 0x01000193) ^ (this.#b >>> 15);
    this.#b = Math.imul(this.#b ^ high ^ (this.#a >>> 7), 0x85ebca6b);
  }

  /** Adds a line; only where {@link isReadable}. */
  line(at: number, who: string, what: string): void {
    this.#lines?.push({ at, who, what });
  }
}
