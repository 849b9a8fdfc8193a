import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Codec } from '../../codec/codec.ts';
import { JsonCodec } from '../../codec/json.ts';
import { MsgpackCodec } from '../../codec/msgpack.ts';
import { Deviation, show } from './deviation.ts';

/*
 * One line of a recording:
 *
 *   {conn, event: "open" | "closed"}                      a connection
 *   {conn, from: "client" | "server", message, bytes}     a frame; message is null where the bytes are none
 *   {raised: {side, type, code?, message}}                a protocol error
 */

/** Who speaks. */
export type Side = 'client' | 'server';

/** A line as it stands in the file, read as JSON and not looked at any further. */
export type RawLine = Readonly<Record<string, unknown>>;

/** A connection opened or closed. */
export interface ConnectionLine {
  readonly kind: 'open' | 'closed';
  readonly conn: number;
}

/** One frame. */
export interface FrameLine {
  readonly kind: 'frame';
  readonly conn: number;
  readonly from: Side;
  /** What the codec makes of the bytes; undefined where they are no message. */
  readonly message: unknown;
  readonly bytes: Uint8Array;
}

/** A protocol error that one side reported. */
export interface RaisedLine {
  readonly kind: 'raised';
  readonly side: Side;
  readonly type: string;
  readonly code: string | undefined;
}

/** A line that was checked. */
export type Line = ConnectionLine | FrameLine | RaisedLine;

/** One scenario in one codec. */
export interface Recording {
  readonly name: string;
  readonly codec: Codec;
  readonly raw: readonly RawLine[];
}

const fixtures = new URL('../fixtures/wire-v2/', import.meta.url);

/** Both codecs that there are recordings of. */
export const codecs: readonly Codec[] = [JsonCodec, MsgpackCodec];

/** Every recording in one codec, by name. */
export function readRecordings(codec: Codec): readonly Recording[] {
  const folder = new URL(`${codec.name}/`, fixtures);
  return readdirSync(folder)
    .sort()
    .map((file) => {
      const lines = readFileSync(new URL(file, folder), 'utf8').trim().split('\n');
      const raw = lines.map((line) => JSON.parse(line) as RawLine); // checked by linesOf, field by field
      return { name: file.replace('.jsonl', ''), codec, raw };
    });
}

/** True for an object that is no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** True for what a recording writes for bytes and for a bigint: `{$bytes: hex}`, `{$bigint: decimal}`. */
export function isTag(value: unknown): value is { $bytes: string } | { $bigint: string } {
  return isRecord(value) && ('$bytes' in value || '$bigint' in value);
}

/** What a recorded value stands for. */
export function revive(value: unknown): unknown {
  if (isTag(value))
    return '$bytes' in value ? Uint8Array.from(Buffer.from(value.$bytes, 'hex')) : BigInt(value.$bigint);
  if (Array.isArray(value)) return value.map(revive);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, revive(field)]));
}

/** True for the name of a side. */
export function isSide(value: unknown): value is Side {
  return value === 'client' || value === 'server';
}

function hasKeys(value: Record<string, unknown>, ...keys: string[]): boolean {
  return Object.keys(value).length === keys.length && keys.every((key) => key in value);
}

function raisedLine(raised: unknown): RaisedLine | undefined {
  if (
    !isRecord(raised) ||
    !(hasKeys(raised, 'side', 'type', 'message') || hasKeys(raised, 'side', 'type', 'code', 'message'))
  )
    return undefined;
  const { side, type, code, message } = raised;
  if (!isSide(side) || typeof type !== 'string' || typeof message !== 'string') return undefined;
  return code === undefined || typeof code === 'string' ? { kind: 'raised', side, type, code } : undefined;
}

function decoded(codec: Codec, bytes: Uint8Array): unknown {
  try {
    return codec.fromBuffer(bytes);
  } catch {
    return undefined; // as a recording's null: no codec makes undefined of anything
  }
}

function frameLine(raw: RawLine, codec: Codec): FrameLine | undefined {
  const { conn, from, message, bytes: base64 } = raw;
  if (!hasKeys(raw, 'conn', 'from', 'message', 'bytes') || typeof conn !== 'number' || !isSide(from)) return undefined;
  if (typeof base64 !== 'string') return undefined;
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  const value = decoded(codec, bytes);
  const written = message === null ? undefined : revive(message);
  if (!isDeepStrictEqual(value, written))
    throw new Deviation(`the bytes are ${show(value)}, the message beside them is ${show(written)}`);
  return { kind: 'frame', conn, from, message: value, bytes };
}

function connectionLine({ conn, event, ...rest }: RawLine): ConnectionLine | undefined {
  if (typeof conn !== 'number' || Object.keys(rest).length > 0) return undefined;
  return event === 'open' || event === 'closed' ? { kind: event, conn } : undefined;
}

/** Lines that were checked before: a mutation changes one of a file's lines and shares the others. */
const checked = new Map<Codec, WeakMap<RawLine, Line>>(codecs.map((codec) => [codec, new WeakMap()]));

function checkLine(raw: RawLine, codec: Codec): Line {
  const known = checked.get(codec)?.get(raw);
  if (known !== undefined) return known;
  const line =
    'raised' in raw && hasKeys(raw, 'raised')
      ? raisedLine(raw['raised'])
      : (frameLine(raw, codec) ?? connectionLine(raw));
  if (line === undefined) throw new Deviation(`not a line of a recording: ${show(raw)}`);
  checked.get(codec)?.set(raw, line);
  return line;
}

/**
 * The lines of a recording.
 * @throws {Deviation} if one of them is none, or if its bytes and its message differ
 */
export function linesOf({ raw, codec }: Recording): readonly Line[] {
  return raw.map((line) => checkLine(line, codec));
}
