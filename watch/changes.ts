import type { HoldfastError } from '../router/index.ts';

interface Waiting<V> {
  resolve(result: IteratorResult<V, undefined>): void;
  reject(error: HoldfastError): void;
}

/** Who iterates over the values of a watch: each gets the newest when it asks, and none is kept for anybody. */
export class ValueIterators<V> {
  #version = 0;
  #latest: { readonly value: V } | undefined;
  #waiting = new Set<Waiting<V>>();
  #end: { readonly error: HoldfastError | undefined } | undefined;

  next(value: V): void {
    this.#version += 1;
    this.#latest = { value };
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const { resolve } of waiting) resolve({ done: false, value });
  }

  /** @param error what those who iterate are told; without one they are done */
  end(error: HoldfastError | undefined): void {
    this.#end ??= { error };
    this.#latest = undefined;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const one of waiting) settle(one, error);
  }

  iterate(): AsyncIterator<V, undefined> {
    let seen = 0;
    let hasLeft = false;
    const pending = new Set<Waiting<V>>();
    return {
      next: () => {
        if (hasLeft) return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve, reject) => {
          const deliver: Waiting<V> = {
            resolve: (result) => {
              pending.delete(deliver);
              seen = this.#version;
              resolve(result);
            },
            reject: (error) => {
              pending.delete(deliver);
              reject(error);
            },
          };
          if (this.#end !== undefined) settle(deliver, this.#end.error);
          else if (this.#latest !== undefined && seen < this.#version)
            deliver.resolve({ done: false, ...this.#latest });
          else {
            pending.add(deliver);
            this.#waiting.add(deliver);
          }
        });
      },
      return: () => {
        hasLeft = true;
        for (const one of [...pending]) {
          this.#waiting.delete(one);
          settle(one, undefined);
        }
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}

function settle<V>(waiting: Waiting<V>, error: HoldfastError | undefined): void {
  if (error === undefined) waiting.resolve({ done: true, value: undefined });
  else waiting.reject(error);
}
