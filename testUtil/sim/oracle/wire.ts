import { detectCodec } from '../../../codec/detect.ts';
import { JsonCodec } from '../../../codec/json.ts';
import { type CompactFrame, readCompact, type Standing } from './compactWire.ts';

/**
 * What a frame says, read by the oracle's own rules (PROTOCOL.md, "Envelope" and "Payloads"). Of the library it uses the
 * codecs alone.
 */
export type Said =
  | { readonly kind: 'request'; readonly sessionId: string; readonly nextExpected: number; readonly nextSent: number }
  | {
      readonly kind: 'accepted';
      readonly sessionId: string;
      readonly nextExpected: number | undefined;
      /** From the next frame on, frames are those of the `compact` extension. */
      readonly isCompact: boolean;
    }
  | { readonly kind: 'refused'; readonly code: string }
  | {
      readonly kind: 'message';
      readonly seq: number;
      readonly ack: number;
      readonly flags: number;
      readonly streamId: string;
      /** One of the numbered messages of the built-in programs. */
      readonly isNumbered: boolean;
    }
  | CompactFrame
  | { readonly kind: 'noise' };

const NOISE: Said = { kind: 'noise' };
const ACK_ONLY = 1;

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined; // any object may be read by name
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}

function readHandshake(payload: Fields): Said | undefined {
  if (payload['type'] === 'HANDSHAKE_REQ') {
    const state = fieldsOf(payload['expectedSessionState']) ?? {};
    return {
      kind: 'request',
      sessionId: String(payload['sessionId']),
      nextExpected: numberOf(state['nextExpectedSeq']),
      nextSent: numberOf(state['nextSentSeq']),
    };
  }
  if (payload['type'] !== 'HANDSHAKE_RESP') return undefined;
  const status = fieldsOf(payload['status']) ?? {};
  if (status['ok'] !== true) return { kind: 'refused', code: String(status['code']) };
  const extensions = fieldsOf(status['extensions']);
  const resume = fieldsOf(extensions?.['resume']);
  const nextExpected = resume === undefined ? undefined : numberOf(resume['nextExpectedSeq']);
  const isCompact = extensions?.['compact'] !== undefined;
  return { kind: 'accepted', sessionId: String(status['sessionId']), nextExpected, isCompact };
}

function read(frame: Uint8Array): Said {
  const codec = detectCodec(frame) ?? JsonCodec;
  let value: unknown;
  try {
    value = codec.fromBuffer(frame);
  } catch {
    return NOISE;
  }
  const envelope = fieldsOf(value);
  if (envelope === undefined) return NOISE;
  const payload = fieldsOf(envelope['payload']);
  const handshake = payload === undefined ? undefined : readHandshake(payload);
  if (handshake !== undefined) return handshake;
  return {
    kind: 'message',
    seq: numberOf(envelope['seq']),
    ack: numberOf(envelope['ack']),
    flags: numberOf(envelope['controlFlags']),
    streamId: String(envelope['streamId']),
    isNumbered: typeof payload?.['m'] === 'number',
  };
}

/** True for a message that carries nothing but its ack. */
export function isBeat(flags: number): boolean {
  return (flags & ACK_ONLY) !== 0;
}

/** What a frame says, on a line for people. */
export function describeSaid(said: Said): string {
  if (said.kind === 'frame') {
    const { firstSeq, ack, flags, credits, messages } = said;
    const limits = credits.map(({ streamId, limit }) => ` ${streamId} may ${limit}`).join('');
    return `seq ${firstSeq} ack ${ack} flags ${flags}${limits}: ${messages.map((one) => `${one.streamId}/${one.flags}`).join(' ')}`;
  }
  if (said.kind !== 'message') return JSON.stringify(said);
  return `${said.streamId} seq ${said.seq} ack ${said.ack} flags ${said.flags}`;
}

/** Reads frames, each once: what is sent again is the same bytes. */
export class WireReader {
  readonly #known = new WeakMap<Uint8Array, Said>();

  /** @param standing of compact frames in its direction, where the connection has them */
  read(frame: Uint8Array, standing: Standing | undefined): Said {
    if (standing !== undefined) return readCompact(frame, standing);
    let said = this.#known.get(frame);
    if (said === undefined) {
      said = read(frame);
      this.#known.set(frame, said);
    }
    return said;
  }
}
