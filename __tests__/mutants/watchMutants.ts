import type { Mutant } from './mutants.ts';

const follower = 'watch/follower.ts';
const hub = 'watch/topicHub.ts';
const modes = 'watch/watchModes.ts';
const core = 'watch/watchCore.ts';
const attempt = 'watch/attempt.ts';
const loader = 'watch/loader.ts';

const watching = 'watching';

/** Bugs of what follows topics. */
export const watchMutants: readonly Mutant[] = [
  {
    name: 'resume at offset + 1',
    workload: watching,
    patches: [
      {
        file: follower,
        find: '...(this.#heard !== undefined && { since: this.#heard }),',
        replace: '...(this.#heard !== undefined && { since: { ...this.#heard, offset: this.#heard.offset + 1 } }),',
      },
    ],
  },
  {
    name: 'resume at offset - 1, and events are not compared with it',
    workload: watching,
    patches: [
      {
        file: follower,
        find: '...(this.#heard !== undefined && { since: this.#heard }),',
        replace:
          '...(this.#heard !== undefined && { since: { ...this.#heard, offset: Math.max(0, this.#heard.offset - 1) } }),',
      },
      { file: modes, find: 'if (offset > after) folded =', replace: 'folded =' },
    ],
  },
  {
    name: 'epoch ignored',
    workload: watching,
    patches: [
      {
        file: 'watch/extent.ts',
        find: '(after === undefined || after.epoch === epoch) && ',
        replace: '',
      },
    ],
  },
  {
    name: "an old attempt's event is believed",
    workload: watching,
    patches: [
      { file: attempt, find: 'if (isRevoked) return;\n          if (result.ok)', replace: 'if (result.ok)' },
      { file: attempt, find: 'if (isRevoked) return; // by what was delivered', replace: '' },
      { file: attempt, find: 'resReadable?.break();', replace: '' },
    ],
  },
  {
    name: 'a reset is not told',
    workload: watching,
    patches: [{ file: hub, find: "subscriber.writable.write(Ok({ type: 'reset', position }));", replace: '' }],
  },
  {
    name: 'a gap after a resubscribe is taken for a recovery',
    workload: watching,
    patches: [{ file: follower, find: "isRecovered ? 'recovered' : 'gap'", replace: "'recovered'" }],
  },
  {
    name: 'what is heard during a load is not held',
    workload: watching,
    patches: [{ file: modes, find: 'for (const event of events) this.#held.push(event);', replace: '' }],
  },
  {
    name: 'a load that finishes before an event was heard of counts as fresh',
    workload: watching,
    patches: [
      {
        file: modes,
        find: 'this.isBehind = true;\n      this.#isEventOwed = true;\n      this.loader.want',
        replace: 'this.isBehind = true;\n      if (!this.loader.isRunning) this.loader.want',
      },
    ],
  },
  {
    name: 'coalescing loses the last trigger',
    workload: watching,
    patches: [
      {
        file: loader,
        find: "if (this.#owed === undefined || this.#owed === 'resync') this.#owed = reason;",
        replace:
          "if (this.isRunning) return;\n    if (this.#owed === undefined || this.#owed === 'resync') this.#owed = reason;",
      },
    ],
  },
  {
    name: 'who waits for a position is let go by any event',
    workload: watching,
    patches: [{ file: 'watch/reached.ts', find: 'if (next.wanted.offset > seen.offset) return;', replace: '' }],
  },
  {
    name: 'whoever filters hears nothing of what it does not want',
    workload: watching,
    patches: [{ file: hub, find: "this.#fellBehind(this.#live.sendProgress(this.#cursor, 'filtered'));", replace: '' }],
  },
  {
    name: 'a subscriber that was too far behind goes on at the head',
    workload: watching,
    patches: [
      {
        file: hub,
        find: '      this.#leave(subscriber);\n      this.resume(subscriber);',
        replace:
          '      this.#leave(subscriber);\n      subscriber.sentThrough(this.#source.head());\n      this.resume(subscriber);',
      },
    ],
  },
  {
    name: 'a lost subscription is not begun again',
    workload: watching,
    patches: [{ file: follower, find: 'this.#backoff.failed(() => this.#attempt());', replace: '' }],
  },
  {
    name: 'a watch leaves its timer of the next resync behind',
    workload: watching,
    patches: [{ file: core, find: 'this.#cancelResync?.();', replace: '' }],
  },
];
