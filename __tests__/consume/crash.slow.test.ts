import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Random } from '../../testUtil/sim/engine/random.ts';
import { contentOf, prepareDatabase, runProgram, upTo } from './support/crash.ts';
import { temporaryFolder } from './support/stage.ts';

test('processes killed from outside while they catch up leave positions and effects together, round after round', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  prepareDatabase(file);
  const random = new Random(Math.floor(Math.random() * 2 ** 32));
  let position = 0;
  for (let round = 0; round < 6; round++) {
    const patience = random.integer(1, 4);
    let heard = 0;
    const { signal } = await runProgram('share', file, 2_000, {
      onLine: (_line, child) => {
        heard += 1;
        if (heard === patience) child.kill('SIGKILL');
      },
    });
    expect(signal).toBe('SIGKILL');
    const { effects, positions } = contentOf(file);
    expect(effects['transactional']).toEqual(upTo(positions['transactional'] ?? 0));
    expect(effects['ledger']).toEqual(upTo(Math.ceil((positions['ledger'] ?? 0) / 2)));
    expect(positions['transactional'] ?? 0).toBeGreaterThan(position);
    position = positions['transactional'] ?? 0;
  }
  expect((await runProgram('share', file, 2_000)).code).toBe(0);
  expect(contentOf(file).effects).toEqual({ transactional: upTo(2_000), ledger: upTo(1_000) });
}, 60_000);

test('two processes on one store, one of them killed in the middle: every effect happens once, in order', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  prepareDatabase(file);
  let heard = 0;
  // Whoever is at work then: which of them that is, the lease decides.
  const onLine = (_line: string, child: ChildProcess) => {
    heard += 1;
    if (heard === 10) child.kill('SIGKILL');
  };
  const ended = await Promise.all([
    runProgram('share', file, 3_000, { onLine }),
    runProgram('share', file, 3_000, { onLine }),
  ]);
  const killed = ended.filter(({ signal }) => signal === 'SIGKILL');
  const [survivor] = ended.filter(({ signal }) => signal !== 'SIGKILL');
  expect(killed).toHaveLength(1);
  expect(survivor?.code, survivor?.lines.join('\n')).toBe(0);
  expect(contentOf(file)).toEqual({
    effects: { transactional: upTo(3_000), ledger: upTo(1_500) },
    positions: { transactional: 3_000, ledger: 3_000 },
  });
}, 60_000);

test('fifty ids delivered to four processes at the same time have fifty effects', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'store.db');
  prepareDatabase(file);
  const ended = await Promise.all(upTo(4).map(() => runProgram('once', file, 50)));
  expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(ended.flatMap(({ lines }) => lines.filter((line) => line.startsWith('ran')))).toHaveLength(50);
  const { effects } = contentOf(file);
  for (const name of ['once', 'async']) {
    expect(
      effects[name]?.sort((a, b) => a - b),
      name,
    ).toEqual(upTo(50).map((n) => n - 1));
  }
}, 60_000);
