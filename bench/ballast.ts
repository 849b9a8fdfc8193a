/** About what an object of {@link hold} takes. */
const OBJECT_BYTES = 96;

const held: unknown[] = [];

/** Keeps so many megabytes of small objects alive from now on, as an application does that has more to do than talk. */
export function hold({ megabytes }: { megabytes: number }): void {
  for (let i = 0; i < (megabytes * 1e6) / OBJECT_BYTES; i++) held.push({ i, text: `object ${i}` });
}
