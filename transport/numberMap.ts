import { hashSeeds } from './id.ts';

const SMALLEST = 8;
/** With more, each is as likely to be asked for next as any other. */
const FEW = 4;
/** 2^32 divided by the golden ratio: what is multiplied by it is spread over all places, however close together it was. */
const SPREAD = 0x9e3779b1;
const TWO_32 = 2 ** 32;
const [SEED = 0, FACTOR = SPREAD] = hashSeeds;

/**
 * The place of a key in a table of `2 ** (32 - shift)`. Not the number itself: calls that stay open lie side by side, and whoever comes
 * around would search past them all. Nor anything that a peer could foretell, for it chooses the numbers of its streams.
 */
export function placeOf(key: number, shift: number): number {
  const low = Math.imul(key ^ SEED, SPREAD);
  const high = key < TWO_32 ? 0 : Math.floor(key / TWO_32);
  const both = Math.imul(low ^ (low >>> 15) ^ high, FACTOR | 1);
  return Math.imul(both ^ (both >>> 15), SPREAD) >>> shift;
}

/**
 * Values by whole numbers from 1, made for numbers that rise and are soon deleted: the streams of a session. Open
 * addressing.
 *
 * Not a `Map`: in V8 each new table of a Map hangs from the one before it. Once an old one has been promoted, all that came
 * after it live until the next full collection, and with them every call that was open when a table was made: with 64 calls
 * in flight every single one, and the collector's share of a server rose from 4 to 20 %.
 */
export class NumberMap<V> {
  #keys: number[] = new Array<number>(SMALLEST).fill(0);
  #values: (V | undefined)[] = new Array<V | undefined>(SMALLEST).fill(undefined);
  #mask = SMALLEST - 1;
  #shift = 32 - Math.log2(SMALLEST);
  #size = 0;
  /** What was found last while there were few: a session has one stream that speaks, as a rule, and its tables lie far apart in memory. */
  #lastKey = 0;
  #lastValue: V | undefined;

  get size(): number {
    return this.#size;
  }

  get(key: number): V | undefined {
    if (key === this.#lastKey) return this.#lastValue;
    const value = this.#values[this.#find(key)];
    if (value !== undefined && this.#size <= FEW) {
      this.#lastKey = key;
      this.#lastValue = value;
    }
    return value;
  }

  set(key: number, value: V): void {
    if (key === this.#lastKey) this.#forgetLast();
    let at = this.#find(key);
    if (this.#keys[at] !== key) {
      if (this.#size * 2 > this.#mask) {
        this.#resize((this.#mask + 1) * 2);
        at = this.#find(key);
      }
      this.#size += 1;
    }
    this.#keys[at] = key;
    this.#values[at] = value;
  }

  delete(key: number): void {
    let hole = this.#find(key);
    if (this.#keys[hole] !== key) return;
    if (key === this.#lastKey) this.#forgetLast();
    this.#size -= 1;
    // Whoever was pushed out of its place by this one moves up, so that no search ends too early.
    for (let at = (hole + 1) & this.#mask; this.#keys[at] !== 0; at = (at + 1) & this.#mask) {
      const other = this.#keys[at] ?? 0;
      if (((at - placeOf(other, this.#shift)) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#keys[hole] = other;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    this.#keys[hole] = 0;
    this.#values[hole] = undefined;
    if (this.#size === 0 && this.#mask >= SMALLEST * 16) this.#resize(SMALLEST);
  }

  /** Values by rising number; a snapshot. */
  values(): V[] {
    const numbers = this.#keys.filter((key) => key !== 0).sort((a, b) => a - b);
    return numbers.map((key) => this.#values[this.#find(key)]).filter((value) => value !== undefined);
  }

  clear(): void {
    this.#size = 0;
    this.#forgetLast();
    this.#resize(SMALLEST);
  }

  #forgetLast(): void {
    this.#lastKey = 0;
    this.#lastValue = undefined;
  }

  /** Where a key is, or would be put. */
  #find(key: number): number {
    let at = placeOf(key, this.#shift);
    for (let found = this.#keys[at]; found !== key && found !== 0; found = this.#keys[at]) at = (at + 1) & this.#mask;
    return at;
  }

  #resize(capacity: number): void {
    const [keys, values] = [this.#keys, this.#values];
    const entries = this.#size === 0 ? 0 : keys.length;
    this.#keys = new Array<number>(capacity).fill(0);
    this.#values = new Array<V | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#shift = 32 - Math.log2(capacity);
    for (let i = 0; i < entries; i++) {
      const key = keys[i] ?? 0;
      if (key === 0) continue;
      const at = this.#find(key);
      this.#keys[at] = key;
      this.#values[at] = values[i];
    }
  }
}
