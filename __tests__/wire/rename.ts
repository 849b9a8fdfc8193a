import { type Identities, idsOf } from './compare.ts';
import type { FrameLine } from './recording.ts';

/** A recorded frame as it was, byte for byte, but with our ids in the place of those that our side has made. */
export function renamed({ message, bytes }: FrameLine, ids: Identities): Uint8Array {
  let frame = bytes;
  for (const id of idsOf(message)) {
    const ours = ids.oursFor(id);
    if (ours !== id) frame = replaced(frame, id, ours);
  }
  return frame;
}

/** MessagePack's header of a text of up to 31 bytes is this and its length; JSON's is a quote. */
const SHORT_TEXT = 0xa0;

function replaced(bytes: Uint8Array, id: string, ours: string): Uint8Array {
  const frame = Buffer.from(bytes);
  const at = frame.indexOf(id);
  const header = frame[at - 1];
  if (at < 1 || ours.length > 31) throw new Error(`cannot put ${ours} in the place of ${id}`);
  const length = header === SHORT_TEXT + id.length ? SHORT_TEXT + ours.length : header;
  return Buffer.concat([
    frame.subarray(0, at - 1),
    Buffer.of(length ?? 0),
    Buffer.from(ours),
    frame.subarray(at + id.length),
  ]);
}
