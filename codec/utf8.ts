// `ignoreBOM` keeps a byte order mark at a string's start: it is the user's data.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const fromCharCode = String.fromCharCode;
/** Up to this length a loop is faster than the platform's decoder, which costs 350 ns a call in Node 20. */
const SHORT = 48;

/**
 * The text whose UTF-8 lies in `bytes` from `start` to `end`.
 * @throws {TypeError} if it is no UTF-8; surrogates are none, not even in pairs
 */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT) return decoder.decode(bytes.subarray(start, end));
  let text = '';
  let at = start;
  for (; at + 4 <= end; at += 4) {
    // `?? 0` only satisfies the compiler: the caller has checked the bounds.
    const a = bytes[at] ?? 0;
    const b = bytes[at + 1] ?? 0;
    const c = bytes[at + 2] ?? 0;
    const d = bytes[at + 3] ?? 0;
    if ((a | b | c | d) >= 0x80) return decoder.decode(bytes.subarray(start, end));
    text += fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const a = bytes[at] ?? 0;
    if (a >= 0x80) return decoder.decode(bytes.subarray(start, end));
    text += fromCharCode(a);
  }
  return text;
}

/** Strings of engines from 2023 on; the library that this compiles against does not know the method yet. */
type CheckedString = string & { isWellFormed?(): boolean };

/** Every lone surrogate as U+FFFD, as `TextEncoder` writes it: UTF-8 has no form for one. */
export function toWellFormed(text: string): string {
  // An optional method more is claimed, and its absence is checked. It is three times as fast as looking for oneself.
  const wellFormed = (text as CheckedString).isWellFormed?.() ?? !/\p{Surrogate}/u.test(text);
  return wellFormed ? text : text.replace(/\p{Surrogate}/gu, '\ufffd');
}
