import { inspect } from 'node:util';

/** A replay came out otherwise than the recording. Anything else that a replay throws is a fault of the replay itself. */
export class Deviation extends Error {
  override readonly name = 'Deviation';
}

/** A value as a diagnosis shows it: on one line, and not at any length. */
export function show(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: Infinity, maxStringLength: 80, maxArrayLength: 20 });
}
