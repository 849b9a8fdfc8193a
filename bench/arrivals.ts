/** Counts what comes, and tells whoever expects it when the last of it has come. */
export class Arrivals {
  #count = 0;
  #expected = Number.POSITIVE_INFINITY;
  #onLast: ((at: number) => void) | undefined;

  add(): void {
    this.#count += 1;
    if (this.#count === this.#expected) this.#onLast?.(performance.now());
  }

  /** Counts from 0. Resolves with when the last came, in milliseconds of `performance.now()`; rejects after `timeoutMs`. */
  expect(count: number, timeoutMs: number): Promise<number> {
    this.#count = 0;
    this.#expected = count;
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`${this.#count} of ${count} came within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      this.#onLast = (at) => {
        clearTimeout(timer);
        resolve(at);
      };
    });
  }
}
