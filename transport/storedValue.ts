import { MsgpackCodec } from '../codec/msgpack.ts';

/**
 * A value as it is kept for later, whichever codec its session speaks: MessagePack, in memory of its own.
 * @throws {CodecError}
 */
export function encodeStored(value: unknown): Uint8Array {
  // Small frames share one buffer, which would live as long as this one is kept.
  return MsgpackCodec.toBuffer(value).slice();
}

/** @throws {CodecError} if the bytes are not what {@link encodeStored} made */
export function decodeStored(bytes: Uint8Array): unknown {
  return MsgpackCodec.fromBuffer(bytes);
}
