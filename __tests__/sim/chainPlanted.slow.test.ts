import { expect, test } from 'vitest';
import { chainMutants } from '../mutants/chainMutants.ts';
import { hunt } from '../mutants/hunt.ts';

const SEEDS = 20;

/** Some of the mutants, and the invariant that each of them breaks; `npm run mutants -- --chain` hunts all of them. */
const broken: Readonly<Record<string, string>> = {
  'resume at offset + 1': '13',
  'a gap after a resubscribe is taken for a recovery': '13',
  'a mirror does not tell a gap': '13',
  'a new subscription forgets a key': '13',
  'whoever has left stays in the roster': '13',
  'the request under a key is not looked at': '14',
  'a server that forgot its outcomes in a crash is believed': '14',
  'ledger written after the acknowledgement': '14',
  'at least once is at most once': '14',
  'fill after drop': '15',
  'invalidation dropped on resubscribe': '15',
};

test.each(chainMutants.filter(({ name }) => name in broken))(
  'a bug that is planted above sessions is found: $name',
  async (mutant) => {
    const { invariant } = await hunt(mutant, SEEDS);
    expect(invariant).toBe(broken[mutant.name]);
  },
  60_000,
);
