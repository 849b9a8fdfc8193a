import type { Codec } from './codec.ts';
import { JsonCodec } from './json.ts';
import { MsgpackCodec } from './msgpack.ts';

/**
 * Tells a connection's codec from its first frame, which is always a handshake and so an object.
 * @returns undefined if the frame begins like neither a JSON object nor a MessagePack map
 */
export function detectCodec(firstFrame: Uint8Array): Codec | undefined {
  const first = firstFrame[0];
  if (first === undefined) return undefined;
  if (first === 0x7b) return JsonCodec;
  return (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf ? MsgpackCodec : undefined;
}
