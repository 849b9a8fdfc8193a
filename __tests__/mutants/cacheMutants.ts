import type { Mutant } from './mutants.ts';

const applier = 'cache/applier.ts';
const flights = 'cache/flights.ts';
const contents = 'cache/contents.ts';

const caching = 'caching';

/** Bugs of caches. */
export const cacheMutants: readonly Mutant[] = [
  {
    name: 'invalidation dropped on resubscribe',
    workload: caching,
    patches: [{ file: applier, find: "if (beginning !== 'recovered')", replace: "if (beginning === 'first')" }],
  },
  {
    name: 'fill after drop',
    workload: caching,
    patches: [
      { file: flights, find: 'if (this.#current.get(flight.key) === flight) this.#keep', replace: 'this.#keep' },
    ],
  },
  {
    name: 'a fetch from before a drop is shared',
    workload: caching,
    patches: [
      {
        file: contents,
        find: 'this.#flights.detach(key);',
        replace: '',
      },
    ],
  },
  {
    name: 'an invalidation is confirmed by its answer alone',
    workload: caching,
    patches: [
      {
        file: 'cache/relayCache.ts',
        find: 'return this.#waiters.wait(position, options);',
        replace: 'return Promise.resolve(void [position, options]);',
      },
    ],
  },
  {
    name: 'an earlier event confirms a later invalidation',
    workload: caching,
    patches: [
      {
        file: 'cache/createCache.ts',
        find: 'position = this.#topic.publish({ key });',
        replace: 'position = this.#topic.head();\n      this.#topic.publish({ key });',
      },
    ],
  },
  {
    name: 'a gap is passed on as if nothing had been missed',
    workload: caching,
    patches: [
      {
        file: applier,
        find: 'this.#mirror?.reset(position);\n    this.#waiters.moveTo(position);\n  }',
        replace: `const head = this.#mirror?.head();
    if (head?.epoch === position.epoch && head.offset < position.offset) this.#mirror?.append([], position);
    else this.#mirror?.reset(position);
    this.#waiters.moveTo(position);
  }`,
      },
    ],
  },
  {
    name: 'what was confirmed is asked for once more',
    workload: caching,
    patches: [
      {
        file: 'cache/relayCache.ts',
        find: 'return this.#waiters.wait(position, options);',
        replace: `void this.#upstream.invalidate.rpc({ key: 'a', hops: 1 });
    return this.#waiters.wait(position, options);`,
      },
    ],
  },
  {
    name: 'an invalidation that failed is asked for again',
    workload: caching,
    patches: [
      {
        file: 'cache/relayCache.ts',
        find: 'throw unconfirmed(key, error, signal);',
        replace:
          'if (hops > 0) void this.#upstream.invalidate.rpc({ key, hops: hops + 1 });\n      throw unconfirmed(key, error, signal);',
      },
    ],
  },
  {
    name: 'a position saved before the values are dropped',
    workload: caching,
    patches: [
      {
        file: contents,
        find: 'for (const { event } of events) this.drop(event.key);\n    this.#moveTo(through);',
        replace: 'this.#moveTo(through);\n    for (const { event } of events) this.drop(event.key);',
      },
    ],
  },
  {
    name: 'a hop that was away is live before it has applied what it missed',
    workload: caching,
    patches: [
      {
        file: 'cache/applier.ts',
        find: "this.#missing = beginning === 'recovered' ? head : undefined;",
        replace: 'this.#missing = undefined;',
      },
    ],
  },
];
