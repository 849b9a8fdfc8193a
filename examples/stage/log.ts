/** What came in, in order, and who waits for more of it. Nothing is missed: what came before the question counts, too. */
export class Log<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<(entry: T) => void>();

  add(entry: T): void {
    this.all.push(entry);
    for (const look of [...this.#waiting]) look(entry);
  }

  /** The first entry that fits, as soon as there is one. */
  until(fits: (entry: T) => boolean): Promise<T> {
    const found = this.all.find(fits);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      const look = (entry: T): void => {
        if (!fits(entry)) return;
        this.#waiting.delete(look);
        resolve(entry);
      };
      this.#waiting.add(look);
    });
  }
}
