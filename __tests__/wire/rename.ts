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

function replaced(bytes: Uint8Array, id: string, ours: string): Uint8Array {
  const frame = Buffer.from(bytes);
  const at = frame.indexOf(id);
  // River's ids are as long as ours, so every length that the frame gives stays true.
  if (at < 0 || id.length !== ours.length) throw new Error(`cannot put ${ours} in the place of ${id}`);
  frame.write(ours, at, 'latin1');
  return frame;
}
