/** Those who want to hear of something. One that throws harms neither the others nor whoever tells them. */
export class Listeners {
  readonly #listeners = new Set<{ readonly call: () => void }>();

  get size(): number {
    return this.#listeners.size;
  }

  /** @returns what ends it; harmless when called twice */
  add(call: () => void): () => void {
    const entry = { call }; // the same function may listen twice
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  tell(): void {
    // A snapshot: whoever is added by a listener hears of the next.
    for (const entry of [...this.#listeners]) {
      if (!this.#listeners.has(entry)) continue;
      try {
        entry.call();
      } catch {
        // Its own affair: the event has happened, whoever fails to hear of it.
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
