/** About what an object of {@link hold} takes. */
const OBJECT_BYTES = 96;

const held: unknown[] = [];

/**
 * Keeps so many megabytes of small objects alive from now on, as an application does that has more to do than talk. V8 has seen
 * them when it returns: where its limit for full collections lies would otherwise depend on when it last looked.
 */
export function hold({ megabytes }: { megabytes: number }): void {
  for (let i = 0; i < (megabytes * 1e6) / OBJECT_BYTES; i++) held.push({ i, text: `object ${i}` });
  if (globalThis.gc === undefined) throw new Error('run node with --expose-gc');
  globalThis.gc();
}
