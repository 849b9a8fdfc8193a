import { fromDecimal, isCanonicalDecimal } from './decimal.ts';

/** A bigint; the body is MessagePack itself: an integer if it is a safe one, otherwise its decimal string. */
export const BIGINT_EXTENSION = 0;
/** MessagePack's own timestamp: seconds and nanoseconds in 4, 8 or 12 bytes. */
export const TIMESTAMP_EXTENSION = -1;

/**
 * The bigint of a decoded extension body.
 * @returns undefined if the body is neither a safe integer nor a canonical decimal string
 * @throws {CodecError} `CODEC_DECODE` if it has too many digits
 */
export function bigintOf(body: unknown): bigint | undefined {
  if (typeof body === 'number') return Number.isSafeInteger(body) ? BigInt(body) : undefined;
  return typeof body === 'string' && isCanonicalDecimal(body) ? fromDecimal(body) : undefined;
}

/**
 * The date of a timestamp, cut to milliseconds.
 * @returns undefined if the length is none of the three, or no Date is that far away
 */
export function dateOf(view: DataView, start: number, length: number): Date | undefined {
  let seconds: number;
  let nanoseconds = 0;
  if (length === 4) {
    seconds = view.getUint32(start);
  } else if (length === 8) {
    const high = view.getUint32(start);
    nanoseconds = high >>> 2;
    seconds = (high & 0b11) * 0x1_0000_0000 + view.getUint32(start + 4);
  } else if (length === 12) {
    nanoseconds = view.getUint32(start);
    seconds = view.getInt32(start + 4) * 0x1_0000_0000 + view.getUint32(start + 8);
  } else {
    return undefined;
  }
  if (nanoseconds >= 1e9) return undefined;
  const date = new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6));
  return Number.isNaN(date.getTime()) ? undefined : date;
}
