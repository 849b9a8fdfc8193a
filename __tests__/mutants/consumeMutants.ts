import type { Mutant } from './mutants.ts';

const run = 'consume/run.ts';
const flight = 'consume/flight.ts';

const consuming = 'consuming';

/** Bugs of consumers and of the ledger. */
export const consumeMutants: readonly Mutant[] = [
  {
    name: 'ledger written after the acknowledgement',
    workload: consuming,
    patches: [
      {
        file: 'consume/once.ts',
        find: 'store.saveClaim(scope, id, done(result, clock));\n    return { ran: true, result };',
        replace: `const late = done(result, clock);
    clock.afterIo(() => store.saveClaim(scope, id, late));
    return { ran: true, result };`,
      },
    ],
  },
  {
    name: 'position saved in a transaction of its own',
    workload: consuming,
    patches: [
      {
        file: run,
        find: '      this.#store.save(next);\n    });\n    this.handled',
        replace:
          '      after = next;\n    });\n    this.#store.commit(() => void (after && this.#store.save(after)));\n    this.handled',
      },
      {
        file: run,
        find: 'let fault: { readonly error: unknown } | undefined;\n    this.#store.commit',
        replace: 'let fault: any;\n    let after: any;\n    this.#store.commit',
      },
    ],
  },
  {
    name: 'what a failed handler has done is not undone',
    workload: consuming,
    patches: [
      {
        file: 'consume/fencedStore.ts',
        find: 'this.settings.store.transaction(() => {\n        try {',
        replace: '((handle: any) => handle())(() => {\n        try {',
      },
    ],
  },
  {
    name: 'an event whose handler failed is left out',
    workload: consuming,
    patches: [
      {
        file: run,
        find: "this.#store.saveFailed(next, 'HANDLER', fault.error, position);",
        replace: "this.#store.saveFailed(advanced(next, position), 'HANDLER', fault.error, position);",
      },
    ],
  },
  {
    name: 'a gap is not recorded',
    workload: consuming,
    patches: [{ file: 'consume/gap.ts', find: 'gaps: current.gaps + 1', replace: 'gaps: current.gaps' }],
  },
  {
    name: 'a trigger during a run is lost',
    workload: consuming,
    patches: [
      {
        file: 'consume/trigger.ts',
        find: "case 'running': {",
        replace: "case 'running': {\n        if (this.#current !== undefined) return this.#current;",
      },
    ],
  },
  {
    name: 'at least once is at most once',
    workload: consuming,
    patches: [{ file: flight, find: "this.#consumer.effects === 'at-most-once'", replace: 'true' }],
  },
  {
    name: 'at most once is at least once',
    workload: consuming,
    patches: [{ file: flight, find: "this.#consumer.effects === 'at-most-once'", replace: 'false' }],
  },
  {
    name: 'a consumer that failed is not tried again',
    workload: consuming,
    patches: [
      {
        file: 'consume/fencedStore.ts',
        find: "code === 'GAP' ? undefined : now + backoffMs(this.settings, record.attempt + 1)",
        replace: 'undefined',
      },
    ],
  },
  {
    name: 'the lease of a process that died never ends',
    workload: consuming,
    patches: [
      {
        file: 'consume/lease.ts',
        find: 'return Math.abs(now - lease.renewedAt) < lease.ttlMs;',
        replace: 'return now >= 0 && lease.ttlMs > 0;',
      },
    ],
  },
];
