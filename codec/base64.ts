const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 0x3d;
/** No sextet: larger than any of them, and its bits survive an OR. */
const INVALID = 0x80;

const encodeTable = new Uint8Array(64);
const decodeTable = new Uint8Array(256).fill(INVALID);
for (let sextet = 0; sextet < 64; sextet++) {
  const code = ALPHABET.charCodeAt(sextet);
  encodeTable[sextet] = code;
  decodeTable[code] = sextet;
}
const ascii = new TextDecoder();

/** Standard base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  // `?? 0` where an index past the end stands for zero bits, and, for tables, to satisfy the compiler.
  const digit = (sextet: number): number => encodeTable[sextet & 63] ?? 0;
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out[at++] = digit(bits >> 18);
    out[at++] = digit(bits >> 12);
    out[at++] = i + 1 < bytes.length ? digit(bits >> 6) : PAD;
    out[at++] = i + 2 < bytes.length ? digit(bits) : PAD;
  }
  return ascii.decode(out);
}

/**
 * The bytes of strict base64: padded, no foreign character, no set bit that no byte uses. So every text that decodes
 * is exactly what {@link toBase64} gives for the bytes.
 * @returns undefined for any other text
 */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = text.length - padding;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  // A character beyond the table has no entry.
  const sextet = (index: number): number => decodeTable[text.charCodeAt(index)] ?? INVALID;
  let at = 0;
  let index = 0;
  for (; index + 4 <= digits; index += 4) {
    const a = sextet(index);
    const b = sextet(index + 1);
    const c = sextet(index + 2);
    const d = sextet(index + 3);
    if ((a | b | c | d) >= INVALID) return undefined;
    out[at++] = (a << 2) | (b >> 4);
    out[at++] = (b << 4) | (c >> 2);
    out[at++] = (c << 6) | d;
  }
  if (padding === 0) return out;
  const a = sextet(index);
  const b = sextet(index + 1);
  const c = padding === 1 ? sextet(index + 2) : 0;
  if ((a | b | c) >= INVALID) return undefined;
  const unused = padding === 1 ? c & 0b11 : b & 0b1111;
  if (unused !== 0) return undefined;
  out[at++] = (a << 2) | (b >> 4);
  if (padding === 1) out[at] = (b << 4) | (c >> 2);
  return out;
}
