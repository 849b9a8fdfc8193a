import type { Mutant } from './mutants.ts';

const keyedCalls = 'router/keyedCalls.ts';
const keyedRpc = 'router/keyedRpc.ts';

const keying = 'keying';

/** Bugs of calls with idempotency keys. */
export const keyedMutants: readonly Mutant[] = [
  {
    name: 'a server that forgot its outcomes in a crash is believed',
    workload: keying,
    patches: [
      {
        file: keyedCalls,
        find: 'if (instance !== this.terms.instance) return',
        replace: 'if (instance === "") return',
      },
    ],
  },
  {
    name: 'a repeat says that it is the first attempt',
    workload: keying,
    patches: [{ file: keyedRpc, find: 'this.#first ??= { instance,', replace: 'void { instance,' }],
  },
  {
    name: 'the request under a key is not looked at',
    workload: keying,
    patches: [
      {
        file: 'router/requestHash.ts',
        find: 'return sha256(canonicalText(request));',
        replace: 'return sha256(canonicalText(void request));',
      },
    ],
  },
  {
    name: 'the effect is had before the claim is kept',
    workload: keying,
    patches: [
      {
        file: keyedCalls,
        find: 'const answer = await this.#claim(run);',
        replace: 'const early = this.#execute(run);\n      const answer = await this.#claim(run);',
      },
      { file: keyedCalls, find: 'run.tell(await this.#execute(run))', replace: 'run.tell(await early)' },
    ],
  },
  {
    name: 'the outcome of a call is not kept',
    workload: keying,
    patches: [
      {
        file: keyedCalls,
        find: 'await this.#store.settle({ ...run.claim, expiresAt: this.#expiresAt() }, bytes);',
        replace: '',
      },
    ],
  },
  {
    name: 'an attempt does not join the run that there is',
    workload: keying,
    patches: [
      {
        file: keyedCalls,
        find: 'if (running !== undefined) {\n      running.join(attempt);',
        replace: 'if (running !== undefined && attempt === undefined) {\n      running.join(attempt);',
      },
    ],
  },
  {
    name: 'a call is not repeated when its session dies',
    workload: keying,
    patches: [{ file: keyedRpc, find: 'if (FINAL_ENDS.has(code) ||', replace: 'if (code !== undefined ||' }],
  },
];
