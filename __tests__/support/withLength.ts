import { prefixOf } from '../../transport/impls/unix/framing.ts';

/** A frame as it is on a byte stream. */
export function withLength(frame: Uint8Array): Uint8Array {
  return Buffer.concat([prefixOf(frame), frame]);
}
