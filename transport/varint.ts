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
