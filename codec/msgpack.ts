import { addExtension, Packr, RESET_BUFFER_MODE } from 'msgpackr/pack';
import { type Codec, MAX_NESTING } from './codec.ts';
import { toDecimal } from './decimal.ts';
import { FramePool } from './framePool.ts';
import { MsgpackReader } from './msgpackReader.ts';
import { asCodecError, notPlain, plainKindOf, setField, type Trail, tooDeep } from './plain.ts';
import { toWellFormed } from './utf8.ts';

/** A bigint on its way to the packer, which would write the bigint itself as a 64-bit integer. */
class PackedBigInt {
  readonly body: Uint8Array;
  constructor(body: Uint8Array) {
    this.body = body;
  }
}

/*
 * Extensions are global to msgpackr. The type byte that this one writes is 0 (256 wraps around), but it sits in a place
 * where no reader ever looks, so whoever else uses msgpackr in the process keeps what it has at 0. (Nor would msgpackr
 * take a `pack` for type 0: it mistakes it for none.)
 */
addExtension({ Class: PackedBigInt, type: 0x100, pack: (bigint: PackedBigInt) => bigint.body });

// 'msgpackr/pack' is plain JavaScript everywhere; the package's main entry loads native code in Node where it finds any.
const packr = new Packr({
  useRecords: false,
  variableMapSize: true, // else every map has three bytes of header
  encodeUndefinedAsNil: true, // in arrays; a property that is undefined does not get here
  useToJSON: false, // a field of that name is data
});
const frames = new FramePool();
const trail: Trail = [];

/** Packs into msgpackr's own memory, over what was there, and moves it: a small frame must not keep a large one alive. */
function pack(value: unknown): Uint8Array {
  return frames.keep(packr.pack(value, RESET_BUFFER_MODE));
}

function packBigInt(value: bigint): PackedBigInt {
  const number = Number(value);
  return new PackedBigInt(pack(Number.isSafeInteger(number) ? number : toDecimal(value)));
}

/** What msgpackr may be given for a value: the value itself wherever nothing in it needs another form. */
function prepare(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return toWellFormed(value);
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    case 'bigint':
      return packBigInt(value);
    case 'object':
      return value === null ? value : prepareObject(value, depth);
    default:
      throw notPlain(value, trail, depth);
  }
}

function prepareObject(value: object, depth: number): unknown {
  const kind = plainKindOf(value);
  switch (kind) {
    case 'object':
      return prepareFields(value as Record<string, unknown>, depth); // a plain object has string keys
    case 'array':
      return prepareItems(value as unknown[], depth); // Array.isArray said so
    case 'bytes':
      // Bytes of another realm: msgpackr knows only this one's.
      return value instanceof Uint8Array ? value : new Uint8Array(value as Uint8Array);
    case 'date':
      // The instanceof check of plainKindOf says that it is a Date.
      if (Number.isNaN((value as Date).getTime())) throw notPlain(value, trail, depth);
      return value;
    case undefined:
      throw notPlain(value, trail, depth);
    default:
      return kind satisfies never;
  }
}

function prepareFields(object: Record<string, unknown>, depth: number): Record<string, unknown> {
  if (depth >= MAX_NESTING) throw tooDeep(trail);
  const keys = Object.keys(object);
  // Loops by index: an iterator over entries costs a small message more than the rest of this walk.
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? ''; // in bounds, which the compiler does not see
    const field = object[key];
    trail[depth] = key;
    const prepared = prepare(field, depth + 1);
    if (prepared !== field || field === undefined || toWellFormed(key) !== key) {
      return rebuilt(object, keys, index, prepared, depth);
    }
  }
  return object;
}

/** A copy of an object whose field at `changedAt` is the first that must not be packed as it is. */
function rebuilt(
  object: Record<string, unknown>,
  keys: string[],
  changedAt: number,
  changed: unknown,
  depth: number,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [index, key] of keys.entries()) {
    let field = index === changedAt ? changed : object[key];
    if (index > changedAt) {
      trail[depth] = key;
      field = prepare(field, depth + 1);
    }
    if (field !== undefined) setField(copy, toWellFormed(key), field);
  }
  return copy;
}

function prepareItems(items: unknown[], depth: number): unknown[] {
  if (depth >= MAX_NESTING) throw tooDeep(trail);
  let copy: unknown[] | undefined;
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    trail[depth] = index;
    const prepared = prepare(item, depth + 1);
    if (prepared !== item) {
      copy ??= items.slice();
      copy[index] = prepared;
    }
  }
  return copy ?? items;
}

function toScratch(value: unknown): Uint8Array {
  try {
    if (value === undefined) throw notPlain(value, trail, 0);
    return packr.pack(prepare(value, 0), RESET_BUFFER_MODE);
  } catch (error) {
    throw asCodecError('CODEC_ENCODE', 'msgpack', error);
  }
}

/**
 * River's MessagePack: maps, str, bin, timestamps for Dates, and bigints as extension 0. A lone surrogate, which UTF-8
 * cannot carry, becomes U+FFFD; -0 becomes 0. Integers of more than 32 bits are written as floats of 64.
 */
export const MsgpackCodec: Codec = {
  name: 'msgpack',
  toBuffer: (value) => frames.keep(toScratch(value)),
  fromBuffer: (bytes) => new MsgpackReader(bytes).read(0, bytes.byteLength),
  toScratch,
  openFrame: (bytes) => new MsgpackReader(bytes, true),
};
