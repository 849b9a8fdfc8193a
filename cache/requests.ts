/** Requests under way: each ends with its caller's signal, and all of them at once. */
export class Requests {
  readonly #open = new Set<AbortController>();

  /** @param make is handed the signal that ends it */
  async run<T>(callers: AbortSignal | undefined, make: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(callers?.reason);
    if (callers?.aborted === true) onAbort();
    callers?.addEventListener('abort', onAbort, { once: true });
    this.#open.add(controller);
    try {
      return await make(controller.signal);
    } finally {
      callers?.removeEventListener('abort', onAbort);
      this.#open.delete(controller);
    }
  }

  end(reason: Error): void {
    for (const controller of [...this.#open]) controller.abort(reason);
  }
}
