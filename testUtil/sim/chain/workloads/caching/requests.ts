/** What of one key concerns one hop. */
interface Count {
  /** Calls of programs behind it, */
  asked: number;
  /** those of them that resolved, */
  resolved: number;
  /** and requests that came to it. */
  requested: number;
}

/**
 * Invalidations, each counted at every hop that it must come by, by key: a request there for each call that resolved, and none
 * without a call. Of a key that only one call ever names these are that call's.
 */
export class Requests {
  readonly #hops = new Map<string, Map<string, Count>>();

  /** @param path caches from the caller's own to the owner's: requests come to all but the first */
  asks([, ...hops]: readonly string[], key: string): void {
    for (const hop of hops) this.#at(hop, key).asked += 1;
  }

  /** @returns what is wrong with that, if anything */
  arrives(hop: string, key: string): string | undefined {
    const count = this.#at(hop, key);
    count.requested += 1;
    return faultOf(hop, key, count);
  }

  /** @returns what is wrong with that, if anything */
  resolves([, ...hops]: readonly string[], key: string): string | undefined {
    let fault: string | undefined;
    for (const hop of hops) {
      const count = this.#at(hop, key);
      count.resolved += 1;
      fault ??= faultOf(hop, key, count);
    }
    return fault;
  }

  /** Where nothing goes wrong all are resolved, by one request each: says where that is not so. */
  unequal(): string | undefined {
    for (const [hop, keys] of this.#hops)
      for (const [key, { asked, resolved, requested }] of keys)
        if (asked !== requested || resolved !== requested)
          return `${hop}: ${requested} requests to invalidate ${key}, of ${asked} calls ${resolved} resolved`;
    return undefined;
  }

  #at(hop: string, key: string): Count {
    const keys = this.#hops.get(hop) ?? new Map<string, Count>();
    this.#hops.set(hop, keys);
    const count = keys.get(key) ?? { asked: 0, resolved: 0, requested: 0 };
    keys.set(key, count);
    return count;
  }
}

function faultOf(hop: string, key: string, { asked, resolved, requested }: Count): string | undefined {
  if (requested > asked) return `${hop} got ${requested} requests to invalidate ${key}, which ${asked} calls asked for`;
  if (requested < resolved) return `${resolved} calls have invalidated ${key}, but ${hop} got ${requested} requests`;
  return undefined;
}
