import fc from 'fast-check';
import type { Codec } from '../../../codec/codec.ts';
import { encodeCompact, encodeCompactFrame } from '../../../transport/compact.ts';
import type { OutgoingMessage } from '../../../transport/message.ts';

/** Inputs of one run of every fuzz file together. */
const inputs = Number(process.env['HOLDFAST_FUZZ'] ?? (process.env['HOLDFAST_TEST_ALL'] === '1' ? 200_000 : 20_000));
const seed = process.env['HOLDFAST_FUZZ_SEED'];

/** Fuzzed targets beside each other, and what each gets of all inputs: what is decoded alone is the cheapest. */
const shares = { decoding: 0.6, handshake: 0.05, session: 0.15 } as const;

/** Long enough for a million inputs; a hang is noticed within {@link HANG_MS}. */
export const FUZZ_TIMEOUT_MS = 60_000 + inputs * 10;
/** No single input takes this long, on the slowest machine. */
export const HANG_MS = 2_000;

/**
 * How often one property of one codec runs. Of a failure fast-check prints the seed and the input; run it again with
 * `HOLDFAST_FUZZ_SEED=<seed>`, and the input is shrunk.
 * @param properties how many properties of that share there are for each of the two codecs
 */
export function runsOf(
  share: keyof typeof shares,
  properties: number,
): { numRuns: number; endOnFailure: boolean; seed?: number } {
  const numRuns = Math.ceil((inputs * shares[share]) / (2 * properties));
  // Shrinking what hangs takes HANG_MS a step: not before somebody asks for it.
  return seed === undefined ? { numRuns, endOnFailure: true } : { numRuns, endOnFailure: false, seed: Number(seed) };
}

/** Fails if `work` does not come to an end in time. */
export async function bounded<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs: nothing in ${HANG_MS} ms`)), HANG_MS);
  });
  try {
    return await Promise.race([work, hang]);
  } finally {
    clearTimeout(timer);
  }
}

const names = [
  '__proto__',
  'constructor',
  'toString',
  '',
  's1',
  'heartbeat',
  'rehandshake',
  'client-1',
  'SERVER',
  '$t',
];
const numbers = [
  0,
  1,
  2,
  4,
  8,
  10,
  255,
  -1,
  0.5,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  1e308,
  Number.NaN,
];

/** Values that somebody got wrong, or made on purpose. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, Number.NEGATIVE_INFINITY, -0, 7n, -(2n ** 64n)),
  fc.constantFrom(...names),
  fc.constantFrom(...numbers),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
  fc.dictionary(fc.constantFrom(...names, '$b', '$e'), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 4 }),
);

/** One field of an object, at any depth, gets another value, another name, or goes. */
export function withOddField(base: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(base, fc.array(fc.nat(15), { maxLength: 4 }), oddValue).map(([value, path, odd]) => {
    const copy: unknown = structuredClone(value);
    return path.length === 0 ? copy : replaced(copy, path, odd);
  });
}

function replaced(value: unknown, [first = 0, ...rest]: number[], odd: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return odd;
  const keys = Object.keys(value);
  const key = keys[first % Math.max(1, keys.length)];
  if (key === undefined) return odd;
  const field: unknown = Reflect.get(value, key);
  const next = rest.length === 0 ? odd : replaced(field, rest, odd);
  return { ...value, [key]: next };
}

/** What is done to the bytes of a frame. */
type ByteChange =
  | { kind: 'flip'; at: number; bits: number }
  | { kind: 'cut'; at: number }
  | { kind: 'insert'; at: number; bytes: Uint8Array }
  | { kind: 'repeat'; at: number };

const byteChange: fc.Arbitrary<ByteChange> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(2 ** 16), bits: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(2 ** 16) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(2 ** 16), bytes: fc.uint8Array({ maxLength: 8 }) }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(2 ** 16) }),
);

function changed(frame: Uint8Array, change: ByteChange): Uint8Array {
  const at = change.at % (frame.length + 1);
  const head = frame.subarray(0, at);
  const tail = frame.subarray(at);
  switch (change.kind) {
    case 'flip':
      return frame.map((byte, index) => (index === at ? byte ^ change.bits : byte));
    case 'cut':
      return head;
    case 'insert':
      return Buffer.concat([head, change.bytes, tail]);
    case 'repeat':
      return Buffer.concat([frame, tail]);
    default:
      return change satisfies never;
  }
}

/** Frames of one codec: random bytes, messages with a field wrong, and the bytes of either changed. */
export function framesOf(codec: Codec, base: fc.Arbitrary<unknown>): fc.Arbitrary<Uint8Array> {
  const encoded = withOddField(base).map((value) => codec.toBuffer(value ?? null));
  const damaged = fc
    .tuple(encoded, fc.array(byteChange, { minLength: 1, maxLength: 3 }))
    .map(([frame, changes]) => changes.reduce(changed, frame));
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    { weight: 5, arbitrary: encoded },
    { weight: 4, arbitrary: damaged },
  );
}

/** A message in a compact frame: one of ours with a field wrong where it can still be encoded, otherwise as it was. */
function compactMessage(codec: Codec, honest: unknown, odd: unknown): Uint8Array {
  for (const message of [odd, honest]) {
    try {
      return encodeCompact(codec, message as OutgoingMessage, undefined, 1024 * 1024); // whatever it is: that is the point
    } catch {
      // No object, or a payload that nobody can encode.
    }
  }
  throw new Error('expected an honest message to be encoded');
}

/** Compact frames: of messages with a field wrong, with numbers that cannot be, and the bytes of either changed. */
export function compactFramesOf(codec: Codec, base: fc.Arbitrary<unknown>, firstSeq: number): fc.Arbitrary<Uint8Array> {
  const message = fc.tuple(base, withOddField(base)).map(([honest, odd]) => compactMessage(codec, honest, odd));
  const counter = (usual: number) =>
    fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.maxSafeNat() });
  const whole = fc
    .tuple(counter(firstSeq), counter(0), fc.constantFrom(0, 0, 0, 1, 2, 255), fc.array(message, { maxLength: 4 }))
    .map(([seq, ack, flags, messages]) => encodeCompactFrame(seq, ack, flags, messages));
  const damaged = fc
    .tuple(whole, fc.array(byteChange, { minLength: 1, maxLength: 3 }))
    .map(([frame, changes]) => changes.reduce(changed, frame));
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    { weight: 5, arbitrary: whole },
    { weight: 4, arbitrary: damaged },
  );
}
