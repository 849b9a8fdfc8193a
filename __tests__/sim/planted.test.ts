import { describe, expect, test } from 'vitest';
import { hunt } from '../mutants/hunt.ts';
import { mutants } from '../mutants/mutants.ts';
import { simulatorWith } from '../mutants/plant.ts';

const SEEDS = 25;

/** Some of the mutants, and the invariants that each of them breaks; `npm run mutants` hunts all of them. */
const broken: Readonly<Record<string, readonly string[]>> = {
  'no duplicate check': ['1', '4'],
  'resend from the last sent instead of the first unacknowledged': ['4'],
  'grace restarted by every retry': ['8'],
  'heartbeat answered by both sides': ['10'],
  'calls not told of the end': ['5'],
};

const bugs = mutants.filter(({ name }) => name in broken);

describe('a bug that is planted in the library is found', () => {
  test.each(bugs)(
    '$name',
    async ({ name, durationMs, patches }) => {
      const runSeed = await simulatorWith(name.replaceAll(' ', '-'), patches);
      let found: string | undefined;
      for (let seed = 1; seed <= SEEDS && found === undefined; seed++)
        found = (await runSeed(seed, { durationMs })).violation?.invariant;
      expect(broken[name]).toContain(found);
    },
    60_000,
  );

  test('and none is found where none was planted', async () => {
    const runSeed = await simulatorWith('none', []);
    for (let seed = 1; seed <= 5; seed++) expect((await runSeed(seed)).violation).toBeUndefined();
  }, 30_000);

  test('a mutant that changes nothing survives', async () => {
    const patch = {
      file: 'transport/wire.ts',
      find: 'export function encodeFrame(',
      replace: 'export function encodeFrame(',
    };
    const found = await hunt({ name: 'harmless', patches: [patch] }, 5);
    expect(found).toEqual({ name: 'harmless', crashes: 0 });
  }, 30_000);

  test('a patch that fits nowhere is an error, not a bug that nobody finds', async () => {
    await expect(
      simulatorWith('misfit', [{ file: 'transport/wire.ts', find: 'no such text', replace: '' }]),
    ).rejects.toThrow("transport/wire.ts does not have exactly one 'no such text'");
  });
});
