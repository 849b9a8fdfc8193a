/** Ids of streams that are gone and whose late messages deserve no answer: the latest so many of one session. */
export class Tombstones {
  readonly #ids = new Set<string>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(streamId: string): void {
    if (this.#capacity <= 0) return;
    this.#ids.delete(streamId);
    this.#ids.add(streamId);
    if (this.#ids.size <= this.#capacity) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  has(streamId: string): boolean {
    return this.#ids.has(streamId);
  }
}
