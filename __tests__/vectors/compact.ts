import { readFileSync, writeFileSync } from 'node:fs';
import type { Codec } from '../../codec/codec.ts';
import { encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import { type Credit, FrameFlags } from '../../transport/compactLayout.ts';
import {
  ControlFlags,
  cancelMessage,
  closeMessage,
  type KeyOnWire,
  NO_TRACE,
  type OutgoingMessage,
  rehandshakeRequest,
  rehandshakeResponse,
} from '../../transport/message.ts';
import { codecs } from './generate.ts';
import { toPlain, vectorFolder } from './vectors.ts';

/** A message of a compact frame, as it is meant. */
type Message = Pick<OutgoingMessage, 'streamId' | 'controlFlags' | 'payload'> &
  Partial<Pick<OutgoingMessage, 'serviceName' | 'procedureName' | 'tracing'>> & {
    deadline?: number;
    idempotency?: KeyOnWire;
  };

/** A frame of the `compact` extension, before it is encoded. */
export interface CompactEntry {
  readonly name: string;
  readonly direction: 'client to server' | 'server to client';
  readonly firstSeq: number;
  readonly ack: number;
  readonly flags: number;
  readonly credits: readonly Credit[];
  readonly messages: readonly Message[];
  /** Of a frame that follows another on its connection: the ack of that one. Its last message has the seq before `firstSeq`. */
  readonly saidAck?: number;
}

/** The same, on the wire. */
export interface CompactVector {
  readonly name: string;
  readonly codec: keyof typeof codecs;
  readonly direction: CompactEntry['direction'];
  readonly hex: string;
  /** What it says, its messages in plain JSON. */
  readonly frame: { readonly firstSeq: number; readonly saidAck?: number };
}

const { StreamOpen: OPENS, StreamClose: CLOSES } = ControlFlags;
const ADD = { serviceName: 'math', procedureName: 'add', tracing: NO_TRACE };
const TRACING = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b' };

function entry(
  name: string,
  direction: CompactEntry['direction'],
  [firstSeq, ack, flags]: readonly [number, number, number],
  messages: readonly Message[],
  credits: readonly Credit[] = [],
  saidAck?: number,
): CompactEntry {
  const isSingle = messages.length === 1 ? FrameFlags.Single : 0;
  const follows = saidAck === undefined ? 0 : FrameFlags.Follows;
  const all = flags | isSingle | follows | (credits.length === 0 ? 0 : FrameFlags.Credits);
  const frame = { name, direction, firstSeq, ack, flags: all, credits, messages };
  return saidAck === undefined ? frame : { ...frame, saidAck };
}

const up = 'client to server';
const down = 'server to client';

/** Every part of a frame at least once. */
export const compactCatalog: readonly CompactEntry[] = [
  entry('an rpc', up, [0, 0, 0], [{ streamId: '1', controlFlags: OPENS | CLOSES, payload: { n: 3 }, ...ADD }]),
  entry(
    'its result',
    down,
    [0, 1, 0],
    [{ streamId: '1', controlFlags: CLOSES, payload: { ok: true, payload: { result: 3 } } }],
  ),
  entry(
    'an opening, two values and a close',
    up,
    [1, 1, 0],
    [
      { streamId: '2', controlFlags: OPENS, payload: { multiplier: 2 }, ...ADD, procedureName: 'sum' },
      { streamId: '2', controlFlags: 0, payload: { value: 1 } },
      { streamId: '2', controlFlags: 0, payload: { value: 2 } },
      closeMessage('2'),
    ],
  ),
  entry(
    'a cancel',
    up,
    [5, 2, 0],
    [cancelMessage('300', { ok: false, payload: { code: 'CANCEL', message: 'no more' } })],
  ),
  entry(
    'a call that is traced and has a deadline',
    up,
    [6, 2, 0],
    [{ streamId: '301', controlFlags: OPENS | CLOSES, payload: {}, ...ADD, tracing: TRACING, deadline: 20_000 }],
  ),
  entry(
    'a call with an idempotency key',
    up,
    [6, 2, 0],
    [{ streamId: '302', controlFlags: OPENS | CLOSES, payload: {}, ...ADD, idempotency: { key: 'order-7' } }],
  ),
  entry(
    'a repeat of it on a later session, which is traced and has a deadline',
    up,
    [0, 0, 0],
    [
      {
        streamId: '1',
        controlFlags: OPENS | CLOSES,
        payload: {},
        ...ADD,
        tracing: TRACING,
        deadline: 20_000,
        idempotency: { key: 'order-7', instance: 'memory000001', until: 560_000 },
      },
    ],
  ),
  entry('a stream named by a text', up, [7, 2, 0], [{ streamId: 'mine', controlFlags: 0, payload: 'x' }]),
  entry('a request for fresh metadata', down, [2, 8, 0], [rehandshakeRequest()]),
  entry('fresh metadata', up, [8, 3, 0], [rehandshakeResponse({ token: 't' })]),
  entry('a beat', down, [4, 5, 1], []),
  entry('the answer to it', up, [5, 4, 0], []),
  entry('large numbers', down, [2 ** 31, 2 ** 53 - 1, 0], []),
  entry('what follows a frame with ack 3', up, [6, 5, 0], [{ streamId: '2', controlFlags: 0, payload: 'x' }], [], 3),
  entry('a beat that follows', down, [4, 6, 1], [], [], 5),
  entry('a limit alone', down, [4, 5, 0], [], [{ stream: 3, limit: 600 }]),
  entry(
    'limits with a message',
    up,
    [9, 3, 0],
    [{ streamId: '2', controlFlags: 0, payload: { value: 3 } }],
    [
      { stream: 2, limit: 262_144 },
      { stream: 301, limit: 1 },
    ],
  ),
];

/** The bytes of an entry. */
export function bytesOf(codec: Codec, { firstSeq, ack, flags, credits, messages, saidAck }: CompactEntry): Uint8Array {
  const parts = messages.map(({ deadline, idempotency, ...message }) =>
    encodeCompact(codec, { ...message }, deadline, Number.MAX_SAFE_INTEGER, undefined, idempotency),
  );
  return encodeCompactFrame(firstSeq, ack, flags, parts, credits, saidAck);
}

/** Every entry of the catalog, in both codecs. */
export function generateCompact(): CompactVector[] {
  return compactCatalog.flatMap((one) =>
    (['json', 'msgpack'] as const).map((codec) => {
      const { name, direction, ...frame } = one;
      const hex = Buffer.from(bytesOf(codecs[codec], one)).toString('hex');
      return { name, codec, direction, hex, frame: toPlain(frame) as CompactVector['frame'] }; // the same, but for bytes
    }),
  );
}

const file = new URL('compact.json', vectorFolder);

/** What stands in the file. */
export function readCompactVectors(): CompactVector[] {
  return JSON.parse(readFileSync(file, 'utf8')) as CompactVector[]; // ours, and compared with what is generated
}

/** Only for a new frame: bytes that change for an old one are a change of the protocol. */
export function writeCompactVectors(): void {
  writeFileSync(file, `${JSON.stringify(generateCompact(), undefined, 2)}\n`);
}
