import type { CacheUpstream } from '../../../cache/relayCache.ts';
import type { Readable, ReadableResult } from '../../../router/readable.ts';

/** Lets pass as many as it was told to; the others wait. */
class Turnstile {
  /** Infinity: open. */
  #free = Number.POSITIVE_INFINITY;
  #waiting: ((mayPass: boolean) => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  shut(): void {
    this.#free = 0;
  }

  letPass(count: number): void {
    this.#free += count;
    while (this.#free > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#free -= 1;
      next(true);
    }
  }

  /** Those that wait will never pass; whoever comes later does. */
  breakOff(): void {
    this.#free = Number.POSITIVE_INFINITY;
    for (const next of this.#waiting.splice(0)) next(false);
  }

  async pass(): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/**
 * Stands between a relay and its client, and holds up events or replies on demand, in order: which of them comes first is
 * otherwise the network's affair.
 */
export class Tap<V> implements CacheUpstream<V> {
  readonly events = new Turnstile();
  readonly replies = new Turnstile();
  /** Another upstream may take this one's place. */
  upstream: CacheUpstream<V>;
  invalidations = 0;
  gets: Parameters<CacheUpstream<V>['get']['rpc']>[0][] = [];

  constructor(upstream: CacheUpstream<V>) {
    this.upstream = upstream;
  }

  readonly get: CacheUpstream<V>['get'] = {
    rpc: (init, options) => {
      this.gets.push(init);
      return this.upstream.get.rpc(init, options);
    },
  };

  readonly invalidate: CacheUpstream<V>['invalidate'] = {
    rpc: async (init, options) => {
      this.invalidations += 1;
      const result = await this.upstream.invalidate.rpc(init, options);
      await this.replies.pass();
      return result;
    },
  };

  readonly changes: CacheUpstream<V>['changes'] = {
    subscribe: (request) => {
      const { resReadable } = this.upstream.changes.subscribe(request);
      const { events } = this;
      async function* heldUp() {
        for await (const message of resReadable) {
          if (!(await events.pass())) return; // as if the call had ended before
          yield message;
        }
      }
      type Message = typeof resReadable extends Readable<infer T, infer E> ? ReadableResult<T, E> : never;
      const messages: AsyncIterator<Message> = heldUp();
      const held = {
        [Symbol.asyncIterator]: () => messages,
        break: () => resReadable.break(),
        collect: () => resReadable.collect(),
        isReadable: () => resReadable.isReadable(),
      };
      // The cast: what is asked of a readable here, and nothing of its class.
      return { resReadable: held as unknown as typeof resReadable };
    },
  };
}
