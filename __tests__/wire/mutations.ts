import type { Codec } from '../../codec/codec.ts';
import { idsOf } from './compare.ts';
import { type Exemption, exemptionOf } from './exemptions.ts';
import { isRecord, isSide, isTag, type RawLine, type Recording, revive, type Side } from './recording.ts';
import type { Scenario } from './scenario.ts';

/** A recording that was changed in one place. */
export interface Mutation {
  /** Which line, which field, and what became of it. */
  readonly title: string;
  readonly recording: Recording;
  /** Whose frame it was, if it was one: the replay of that side is the one to notice. */
  readonly from: Side | undefined;
  /** Why no replay may notice it; undefined where one must. */
  readonly exempt: Exemption | undefined;
}

type Path = readonly string[];

interface Leaf {
  readonly path: Path;
  readonly value: unknown;
}

/** Everything in a value that has no parts: bytes and bigints as a recording writes them among it, and what is empty. */
function leavesOf(value: unknown, path: Path = []): readonly Leaf[] {
  const fields = isTag(value) || !isRecord(value) ? [] : Object.entries(value);
  if (fields.length === 0) return [{ path, value }];
  return fields.flatMap(([key, field]) => leavesOf(field, [...path, key]));
}

/** The path of every key in a value. */
function keysOf(value: unknown, path: Path = []): readonly Path[] {
  if (isTag(value) || !isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, field]) => [[...path, key], ...keysOf(field, [...path, key])]);
}

/** The least that is another value of the same kind. */
function changed(value: unknown): unknown {
  if (isTag(value)) {
    return '$bytes' in value ? { $bytes: `${value.$bytes}00` } : { $bigint: String(BigInt(value.$bigint) + 1n) };
  }
  switch (typeof value) {
    case 'number':
      return value + 1;
    case 'string':
      return `${value}x`;
    case 'boolean':
      return !value;
    default:
      if (value === null) return 0;
      if (isRecord(value) && Object.keys(value).length === 0) return { x: 0 };
      throw new Error(`no recording has had a leaf like this: ${String(value)}`);
  }
}

/** A copy with another value at a path, or without the key if the value is undefined. */
function withAt(value: unknown, [key, ...rest]: Path, inner: unknown): unknown {
  if (key === undefined) return inner;
  if (!isRecord(value)) throw new Error(`there is nothing at ${key}`);
  const { [key]: old, ...others } = value;
  const next = withAt(old, rest, inner);
  return next === undefined ? others : { ...value, [key]: next };
}

/** A line with another message, and with the bytes of that message. */
function rewritten(raw: RawLine, message: unknown, codec: Codec): RawLine {
  return { ...raw, message, bytes: Buffer.from(codec.toBuffer(revive(message))).toString('base64') };
}

function changedLine(raw: RawLine, path: Path, value: unknown, codec: Codec): RawLine {
  const [first, ...rest] = path;
  if (first === 'message' && (rest.length > 0 || value !== undefined))
    return rewritten(raw, withAt(raw['message'], rest, value), codec);
  return withAt(raw, path, value) as RawLine; // a copy of a line, with something else in it
}

/** Words of which a line has one or another. A wrong one is no line at all; the other one is a line that lies. */
const alternatives = new Map([
  ['open', 'closed'],
  ['closed', 'open'],
  ['client', 'server'],
  ['server', 'client'],
]);

/** How many times each id stands in a recording. */
function countIds({ raw }: Recording): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { message } of raw) for (const id of idsOf(message)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

class Mutator {
  readonly #recording: Recording;
  readonly #scenario: Scenario;
  readonly #counts: ReadonlyMap<string, number>;

  constructor(recording: Recording, scenario: Scenario) {
    this.#recording = recording;
    this.#scenario = scenario;
    this.#counts = countIds(recording);
  }

  #with(index: number, lines: readonly RawLine[], title: string, exempt?: Exemption): Mutation {
    const { raw } = this.#recording;
    const recording = { ...this.#recording, raw: [...raw.slice(0, index), ...lines, ...raw.slice(index + 1)] };
    const from = raw[index]?.['from'];
    return { title: `line ${index + 1}: ${title}`, recording, exempt, from: isSide(from) ? from : undefined };
  }

  #exempt(raw: RawLine, { path, value }: Leaf): Exemption | undefined {
    // A script's ids are its own: it does not send any others.
    if (this.#scenario.kind === 'hand-made' && raw['from'] === 'client') return undefined;
    const exemption = exemptionOf(raw['message'], path.join('.'), value);
    if (exemption?.kind === 'id' && this.#counts.get(String(value)) !== 1) return undefined;
    return exemption;
  }

  *fields(): Generator<Mutation> {
    const { raw, codec } = this.#recording;
    for (const [index, line] of raw.entries()) {
      for (const leaf of leavesOf(line)) {
        // The bytes follow the message; they are a field of their own only where there is none.
        if (leaf.path[0] === 'bytes' && line['message'] !== null) continue;
        const name = leaf.path.join('.');
        const mutated = changedLine(line, leaf.path, leaf.path[0] === 'bytes' ? 'AQIE' : changed(leaf.value), codec);
        yield this.#with(index, [mutated], `${name} is changed`, this.#exempt(line, leaf));
      }
    }
  }

  *words(): Generator<Mutation> {
    const { raw, codec } = this.#recording;
    for (const [index, line] of raw.entries()) {
      for (const { path, value } of leavesOf(line)) {
        const other = path[0] === 'message' ? undefined : alternatives.get(String(value));
        if (other !== undefined)
          yield this.#with(index, [changedLine(line, path, other, codec)], `${path.join('.')} is ${other}`);
      }
    }
  }

  *removedKeys(): Generator<Mutation> {
    const { raw, codec } = this.#recording;
    for (const [index, line] of raw.entries()) {
      for (const path of keysOf(line)) {
        yield this.#with(index, [changedLine(line, path, undefined, codec)], `${path.join('.')} is missing`);
      }
    }
  }

  *lines(): Generator<Mutation> {
    for (const [index, line] of this.#recording.raw.entries()) {
      yield this.#with(index, [], 'is missing');
      yield this.#with(index, [line, line], 'is there twice');
    }
  }
}

/**
 * `fields`: each leaf of each line has another value. `words`: each word of a line, outside of messages, is the other
 * one. `removedKeys`: each key is missing. `lines`: each line is missing, or is there twice.
 */
export const mutationKinds = ['fields', 'words', 'removedKeys', 'lines'] as const;
/** One of {@link mutationKinds}. */
export type MutationKind = (typeof mutationKinds)[number];

/** Every mutation of a recording that is of one kind. */
export function mutationsOf(recording: Recording, scenario: Scenario, kind: MutationKind): Iterable<Mutation> {
  return new Mutator(recording, scenario)[kind]();
}
