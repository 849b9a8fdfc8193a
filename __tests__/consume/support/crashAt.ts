import { join } from 'node:path';
import { expect } from 'vitest';
import { contentOf, expireLease, prepareDatabase, runProgram, upTo } from './crash.ts';
import { temporaryFolder } from './stage.ts';

const EVENTS = 6;

/** What must hold at any moment after a crash. */
function checkCrashed(file: string, where: string): void {
  const { effects, positions } = contentOf(file);
  const done = positions['transactional'] ?? 0;
  expect(effects['transactional'] ?? [], where).toEqual(upTo(done));
  expect(effects['ledger'] ?? [], where).toEqual(upTo(Math.ceil((positions['ledger'] ?? 0) / 2)));
  // Saved before: of what is saved, the last may be missing. Saved after: one more may have been done.
  const most = effects['at-most-once'] ?? [];
  const saved = positions['at-most-once'] ?? 0;
  expect([saved, saved - 1], where).toContain(most.length);
  const least = effects['at-least-once'] ?? [];
  const savedAfter = positions['at-least-once'] ?? 0;
  expect([savedAfter, savedAfter + 1], where).toContain(least.length);
}

/** How many moments a run that is not killed has. */
export async function countMoments(): Promise<number> {
  using folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  prepareDatabase(file);
  const { code, lines } = await runProgram('boot', file, EVENTS);
  expect(code, lines.join('\n')).toBe(0);
  const moments = Number(/moments (\d+)/.exec(lines.join('\n'))?.[1]);
  expect(moments).toBeGreaterThan(100);
  return moments;
}

/** A process killed at its n-th moment, and one that goes on from there. */
export async function crashAt(moment: number): Promise<void> {
  using folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  const where = `killed at moment ${moment}`;
  prepareDatabase(file);
  expect((await runProgram('boot', file, EVENTS, { killAt: moment })).signal, where).toBe('SIGKILL');
  checkCrashed(file, where);
  expireLease(file);
  const { code, lines } = await runProgram('boot', file, EVENTS);
  expect(code, `${where}\n${lines.join('\n')}`).toBe(0);
  const { effects, positions } = contentOf(file);
  expect(positions, where).toEqual({ transactional: 6, ledger: 6, 'at-least-once': 6, 'at-most-once': 6 });
  expect(effects['transactional'], where).toEqual(upTo(6));
  expect(effects['ledger'], where).toEqual(upTo(3));
  const least = effects['at-least-once'] ?? [];
  expect([...new Set(least)], where).toEqual(upTo(6));
  expect(least.length, where).toBeLessThanOrEqual(7);
  const most = effects['at-most-once'] ?? [];
  expect(new Set(most).size, where).toBe(most.length);
  expect(most.length, where).toBeGreaterThanOrEqual(5);
}
