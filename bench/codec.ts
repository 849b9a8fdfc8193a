/**
 * What encoding and decoding a message costs: ours against the bare library underneath, in one run. Nanoseconds, the
 * best of many rounds; compare within one run only. Run it with `npm run bench:codec`.
 */
import { Packr, Unpackr } from 'msgpackr';
import { JsonCodec } from '../codec/json.ts';
import { MsgpackCodec } from '../codec/msgpack.ts';

const ROUNDS = 40;
const PER_ROUND = 3_000;

const envelope = { id: '50RCcXHavk0o', from: 'client-1', to: 'SERVER', seq: 12, ack: 11, streamId: '6Bhrklm22yrv' };
const messages: Readonly<Record<string, unknown>> = {
  rpc: { ...envelope, controlFlags: 10, serviceName: 'math', procedureName: 'add', payload: { n: 3 } },
  ack: { ...envelope, streamId: 'heartbeat', controlFlags: 1, payload: { type: 'ACK' } },
  chat: {
    ...envelope,
    controlFlags: 0,
    payload: {
      ok: true,
      payload: {
        text: 'a line of a chat that goes on for a bit',
        at: 1_763_686_800_123,
        user: { id: 'u-123', name: 'Zoë' },
      },
    },
  },
  list: {
    ...envelope,
    controlFlags: 0,
    payload: Array.from({ length: 12 }, (_, id) => ({
      id,
      name: `user name ${id}`,
      score: id * 1.5,
      active: id % 2 === 0,
    })),
  },
};

function nanoseconds(run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    for (let i = 0; i < PER_ROUND; i++) run();
    best = Math.min(best, performance.now() - startedAt);
  }
  return Math.round((best * 1e6) / PER_ROUND);
}

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
const encoder = new TextEncoder();
const decoder = new TextDecoder();

console.table(
  Object.fromEntries(
    Object.entries(messages).map(([name, message]) => {
      const packed = MsgpackCodec.toBuffer(message);
      const json = JsonCodec.toBuffer(message);
      const row = {
        bytes: packed.length,
        'msgpackr pack': nanoseconds(() => packr.pack(message)),
        'our toBuffer': nanoseconds(() => MsgpackCodec.toBuffer(message)),
        'msgpackr unpack': nanoseconds(() => unpackr.unpack(packed)),
        'our fromBuffer': nanoseconds(() => MsgpackCodec.fromBuffer(packed)),
        'JSON.stringify': nanoseconds(() => encoder.encode(JSON.stringify(message))),
        'our toBuffer (json)': nanoseconds(() => JsonCodec.toBuffer(message)),
        'JSON.parse': nanoseconds(() => JSON.parse(decoder.decode(json))),
        'our fromBuffer (json)': nanoseconds(() => JsonCodec.fromBuffer(json)),
      };
      return [name, row];
    }),
  ),
);
