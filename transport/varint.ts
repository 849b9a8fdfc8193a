/*
 * Numbers of any size up to 2^53 − 1: 7 bits a byte, lowest first, the high bit set on all bytes but the last.
 */

/** Bytes that a number takes. */
export function varintLength(value: number): number {
  if (value < 128) return 1;
  let length = 2;
  for (let rest = Math.floor(value / 128); rest >= 128; rest = Math.floor(rest / 128)) length += 1;
  return length;
}

/** Writes a number. Returns where it ends. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let end = at;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out[end++] = (rest % 128) + 128;
  out[end++] = rest;
  return end;
}

/** Reads a number that {@link writeVarint} wrote: nothing is checked. */
export function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let scale = 1, i = at; ; scale *= 128, i++) {
    const byte = bytes[i] ?? 0;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}
