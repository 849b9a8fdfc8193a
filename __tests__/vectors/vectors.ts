import { readdirSync, readFileSync } from 'node:fs';

/** One frame: what it is on the wire and what it says. */
export interface Vector {
  readonly name: string;
  readonly codec: 'json' | 'msgpack';
  readonly direction: 'client to server' | 'server to client';
  /** The frame's bytes, without the framing of a transport. */
  readonly hex: string;
  /** The decoded message, see {@link toPlain}. Of a frame that must be refused there is none. */
  readonly message?: unknown;
  readonly meaning: string;
}

/** Where the files lie. */
export const vectorFolder = new URL('./', import.meta.url);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value in plain JSON: bytes as `{"$bytes": hex}`, bigints as `{"$bigint": digits}`. */
export function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(toPlain);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
}

/** The opposite of {@link toPlain}. */
export function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (!isRecord(value)) return value;
  if (typeof value['$bigint'] === 'string') return BigInt(value['$bigint']);
  if (typeof value['$bytes'] === 'string') return new Uint8Array(Buffer.from(value['$bytes'], 'hex'));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromPlain(item)]));
}

function readFile(name: string): Vector[] {
  // The files are ours, and the test compares them with what is generated.
  return JSON.parse(readFileSync(new URL(name, vectorFolder), 'utf8')) as Vector[];
}

/** Files of frames that are no message, or of many. */
const OTHER_FILES = ['malformed.json', 'compact.json'];

/** Every frame that is a message. */
export function readVectors(): Vector[] {
  const names = readdirSync(vectorFolder).filter((name) => name.endsWith('.json') && !OTHER_FILES.includes(name));
  return names.sort().flatMap(readFile);
}

/** Every frame that must be refused. */
export function readMalformed(): Vector[] {
  return readFile('malformed.json');
}
