/**
 * SHA-256. Written out, because what the platforms have is either asynchronous (Web Crypto: two repeats that arrive in one
 * turn would both have to wait before they can find each other) or only Node's.
 * @see FIPS 180-4
 */

/** The first 32 bits of the fractional parts of roots of the first primes: of square roots, and of cube roots. */
function rootBits(count: number, exponent: number): Uint32Array {
  const bits = new Uint32Array(count);
  for (let found = 0, n = 2; found < count; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d++) isPrime &&= n % d !== 0;
    if (!isPrime) continue;
    const root = n ** exponent;
    bits[found++] = (root - Math.floor(root)) * 2 ** 32;
  }
  return bits;
}

const INITIAL = rootBits(8, 1 / 2);
const ROUNDS = rootBits(64, 1 / 3);

const BLOCK = 64;
/** Of the length, at the end of the last block. */
const LENGTH_BYTES = 8;

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

/** Words are always in bounds, which the compiler does not see. */
function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}

function mixBlock(state: Uint32Array, words: Uint32Array, view: DataView, start: number): void {
  for (let i = 0; i < 16; i++) words[i] = view.getUint32(start + 4 * i);
  for (let i = 16; i < 64; i++) {
    const early = at(words, i - 15);
    const late = at(words, i - 2);
    const fromEarly = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const fromLate = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    words[i] = at(words, i - 16) + fromEarly + at(words, i - 7) + fromLate;
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const upper = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const lower = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const first = (h + upper + choice + at(ROUNDS, i) + at(words, i)) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + lower + majority) | 0;
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = at(state, i) + word;
}

/** The hash of a text's UTF-8, in hexadecimal. */
export function sha256(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(Math.ceil((bytes.length + 1 + LENGTH_BYTES) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length * 8);
  const state = INITIAL.slice();
  const words = new Uint32Array(64);
  for (let start = 0; start < padded.length; start += BLOCK) mixBlock(state, words, view, start);
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('');
}
