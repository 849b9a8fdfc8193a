/** Counts what comes, and tells whoever expects it when the last of it has come. */
export class Arrivals {
  #count = 0;
  #expected = Number.POSITIVE_INFINITY;
  #onLast: ((at: number) => void) | undefined;

  add(): void {
    this.#count += 1;
    if (this.#count === this.#expected) this.#onLast?.(performance.now());
  }

  /** Counts from 0. */
  restart(): void {
    this.#count = 0;
    this.#expected = Number.POSITIVE_INFINITY;
  }

  /** Counts from 0, until {@link reached}. */
  expect(count: number, timeoutMs: number): Promise<number> {
    this.restart();
    return this.reached(count, timeoutMs);
  }

  /** Resolves with when the last of so many came, in milliseconds of `performance.now()`, or now if it has; rejects after `timeoutMs`. */
  reached(count: number, timeoutMs: number): Promise<number> {
    if (this.#count >= count) return Promise.resolve(performance.now());
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
