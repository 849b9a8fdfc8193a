import type { Positioned } from './source.ts';

/** How much goes into one message. */
export interface ChunkLimits {
  /** Events. */
  readonly batch: number;
  readonly maxBatchBytes: number;
  /** An event that is larger is sent to nobody: its subscribers are reset. */
  readonly maxEventBytes: number;
}

const MAX_DEPTH = 128;

/** How many bytes a value takes at most in JSON, which of our codecs takes the most. */
export function weigh(value: unknown, depth = 0): number {
  switch (typeof value) {
    case 'string':
      return weighText(value);
    case 'number':
      return 25;
    case 'bigint':
      return String(value).length + 10;
    case 'object':
      return value === null ? 4 : weighObject(value, depth);
    default:
      return 5;
  }
}

function weighText(text: string): number {
  let bytes = 2;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20) bytes += 6;
    else if (code === 0x22 || code === 0x5c) bytes += 2;
    else bytes += code < 0x80 ? 1 : 3;
  }
  return bytes;
}

function weighObject(value: object, depth: number): number {
  if (value instanceof Uint8Array) return Math.ceil(value.length / 3) * 4 + 10;
  if (depth > MAX_DEPTH) return 0; // no codec takes it: it fails where it is encoded
  let bytes = 2;
  if (Array.isArray(value)) for (const item of value) bytes += weigh(item, depth + 1) + 1;
  else for (const [key, member] of Object.entries(value)) bytes += weighText(key) + weigh(member, depth + 1) + 2;
  return bytes;
}

/**
 * How many of these events go into the next message.
 * @returns 0 if already the first is too large for any
 */
export function chunkLength(
  events: readonly Positioned<unknown>[],
  { maxBatchBytes, maxEventBytes }: ChunkLimits,
): number {
  let bytes = 0;
  let length = 0;
  for (const { event } of events) {
    const weight = weigh(event);
    if (weight > maxEventBytes) return length;
    bytes += weight;
    if (length > 0 && bytes > maxBatchBytes) return length;
    length += 1;
  }
  return length;
}
