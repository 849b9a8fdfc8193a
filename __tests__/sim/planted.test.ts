import { describe, expect, test } from 'vitest';
import { type Patch, simulatorWith } from './support/mutant.ts';

const SEEDS = 25;

interface Bug {
  readonly name: string;
  readonly invariants: readonly string[];
  readonly durationMs?: number;
  readonly patch: Patch;
}

const bugs: readonly Bug[] = [
  {
    name: 'duplicates are not dropped',
    invariants: ['1', '4'],
    patch: {
      file: 'transport/session/ledger.ts',
      find: "return seq < this.#ack ? 'duplicate' : 'gap';",
      replace: "return seq < this.#ack ? 'next' : 'gap';",
    },
  },
  {
    name: 'only the last message is sent again',
    invariants: ['4'],
    patch: {
      file: 'transport/session/ledger.ts',
      find: 'for (let seq = this.#oldest; seq < this.nextSeq; seq++) {',
      replace: 'for (let seq = Math.max(this.#oldest, this.nextSeq - 1); seq < this.nextSeq; seq++) {',
    },
  },
  {
    name: 'every retry begins a new grace period',
    invariants: ['8'],
    patch: {
      file: 'transport/session/common.ts',
      find: 'core.graceDeadline - env.clock.now()',
      replace: 'env.options.sessionDisconnectGraceMs',
    },
  },
  {
    name: 'both sides answer heartbeats',
    invariants: ['10'],
    durationMs: 2_000, // what never ends takes long to watch
    patch: {
      file: 'transport/session/SessionConnected.ts',
      find: "if (this.#role === 'client') this.#sendAck();",
      replace: 'this.#sendAck();',
    },
  },
  {
    name: 'calls are not told of the end of their session',
    invariants: ['5'],
    patch: {
      file: 'transport/session/core.ts',
      find: 'for (const receiver of receivers) this.#tellEnd(receiver, end);',
      replace: '',
    },
  },
];

describe('a bug that is planted in the library is found', () => {
  test.each(bugs)(
    '$name',
    async ({ name, invariants, durationMs, patch }) => {
      const runSeed = await simulatorWith(name.replaceAll(' ', '-'), [patch]);
      let found: string | undefined;
      for (let seed = 1; seed <= SEEDS && found === undefined; seed++)
        found = (await runSeed(seed, { durationMs })).violation?.invariant;
      expect(invariants).toContain(found);
    },
    60_000,
  );

  test('and none is found where none was planted', async () => {
    const runSeed = await simulatorWith('none', []);
    for (let seed = 1; seed <= 5; seed++) expect((await runSeed(seed)).violation).toBeUndefined();
  }, 30_000);

  test('a patch that fits nowhere is an error, not a bug that nobody finds', async () => {
    await expect(
      simulatorWith('misfit', [{ file: 'transport/wire.ts', find: 'no such text', replace: '' }]),
    ).rejects.toThrow("transport/wire.ts does not have exactly one 'no such text'");
  });
});
