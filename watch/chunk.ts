import type { Positioned } from './source.ts';

/** Events that may share a message, and what they weigh. */
export interface Chunk<E> {
  readonly events: readonly Positioned<E>[];
  readonly bytes: number;
}

/** Levels of an event that every codec takes, inside of a message and its envelope. */
const MAX_DEPTH = 58;
/** Of a bigint, its sign included: codecs refuse longer ones, which take too long to read. */
const MAX_DIGITS = 10_000;
/** What is around an event in a message: its offset, and the names of both. */
const SENT_BYTES = 40;
/** A text that is not short has a longer head in MessagePack than its quotes in JSON. */
const SHORT = 32;

/**
 * How many bytes a value takes at most, in whichever of our codecs takes the most.
 * @returns Infinity for what none of them carries
 */
export function weigh(value: unknown, depth = 0): number {
  switch (typeof value) {
    case 'string':
      return weighText(value);
    case 'number':
      return 25;
    case 'bigint':
      return weighBigInt(value, depth);
    case 'object':
      return value === null ? 4 : weighObject(value, depth);
    case 'function':
    case 'symbol':
      return Number.POSITIVE_INFINITY;
    default:
      return 5;
  }
}

function weighBigInt(value: bigint, depth: number): number {
  const { length } = String(value);
  return depth > MAX_DEPTH || length > MAX_DIGITS ? Number.POSITIVE_INFINITY : length + 10;
}

function weighText(text: string): number {
  let bytes = text.length < SHORT ? 2 : 5;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20) bytes += 6;
    else if (code === 0x22 || code === 0x5c) bytes += 2;
    else if (code < 0x80) bytes += 1;
    else if (code < 0xd800 || code > 0xdfff) bytes += 3;
    else if (text.codePointAt(at) === code)
      bytes += 6; // half of a character is escaped in JSON
    else {
      bytes += 4;
      at += 1;
    }
  }
  return bytes;
}

function weighObject(value: object, depth: number): number {
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY;
  if (Array.isArray(value)) {
    let bytes = 5;
    for (const item of value) {
      bytes += weigh(item, depth + 1) + 1;
      if (bytes === Number.POSITIVE_INFINITY) break; // a circle is gone round once, and not in every way there is
    }
    return bytes;
  }
  if (isPlain(value)) return weighFields(value, depth);
  if (ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]')
    return Math.ceil(value.byteLength / 3) * 4 + 10;
  return value instanceof Date && !Number.isNaN(value.getTime()) ? 30 : Number.POSITIVE_INFINITY;
}

/** Its prototype is that of all objects, of whichever realm, or it has none. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function weighFields(value: object, depth: number): number {
  let bytes = 5;
  // Three more than the texts: a colon, a comma, and a dollar that a key with one gets in JSON.
  for (const [key, member] of Object.entries(value)) {
    bytes += weighText(key) + weigh(member, depth + 1) + 3;
    if (bytes === Number.POSITIVE_INFINITY) break;
  }
  return bytes;
}

/** The first of these events, which share the next message. One of them even if it weighs too much; it is alone then. */
export function nextChunk<E>(events: readonly Positioned<E>[], maxBytes: number): Chunk<E> {
  let bytes = 0;
  let length = 0;
  for (const { event } of events) {
    const weight = weigh(event) + SENT_BYTES;
    if (length > 0 && bytes + weight > maxBytes) break;
    bytes += weight;
    length += 1;
  }
  return { events: events.slice(0, length), bytes };
}
