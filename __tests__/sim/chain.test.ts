import { describe, expect, test } from 'vitest';
import { chainPlanOf } from '../../testUtil/sim/chain/chainPlan.ts';
import { runChainPlan } from '../../testUtil/sim/chain/chainRun.ts';
import { runChainSeed, shrinkChain } from '../../testUtil/sim/chain/chainSeed.ts';
import type { ChainContext, ChainWorkload } from '../../testUtil/sim/chain/chainWorkload.ts';
import { Disk } from '../../testUtil/sim/chain/disk.ts';
import regressions from '../../testUtil/sim/chain/regressions.json' with { type: 'json' };
import { Requests } from '../../testUtil/sim/chain/workloads/caching/requests.ts';
import { chainWorkloads } from '../../testUtil/sim/chain/workloads.ts';
import { expectChainSeeds } from './support/chainSeeds.ts';

const SEEDS = 2;

describe('in a chain of provider, service and leaves', () => {
  test.each(chainWorkloads)(
    `every promise of $name holds in ${SEEDS} seeds`,
    async (workload) => {
      const figures = await expectChainSeeds(1, SEEDS, { workload });
      expect(figures.runs).toBe(SEEDS);
    },
    60_000,
  );
});

describe('where nothing goes wrong', () => {
  test.each(chainWorkloads)(
    'all that the programs of $name ask for is done, and nothing else',
    async (workload) => {
      const { violation, faults } = await runChainSeed(300, { workload, kinds: [] });
      // What a side says in the turn in which it closes comes to a connection that the other has closed in the meantime.
      const { lateFrames: _, ...others } = faults;
      expect([violation, ...Object.values(others).filter((count) => count > 0)]).toEqual([undefined]);
    },
    60_000,
  );

  test('an invalidation that is lost all the same breaks an invariant', async () => {
    const requests = new Requests();
    const path = ['leaf-1', 'service', 'provider'];
    requests.asks(path, 'a');
    expect([requests.arrives('service', 'a'), requests.unequal()]).toEqual([
      undefined,
      'service: 1 requests to invalidate a, of 1 calls 0 resolved',
    ]);
    expect(requests.resolves(path, 'a')).toBe('1 calls have invalidated a, but provider got 0 requests');
    expect(requests.arrives('provider', 'a')).toBeUndefined();
    expect(requests.unequal()).toBeUndefined();
    expect(requests.arrives('provider', 'a')).toBe('provider got 2 requests to invalidate a, which 1 calls asked for');
  });
});

test.each(regressions)('every promise of $workload holds in seed $seed: $what', async ({ seed, workload }) => {
  await expectChainSeeds(seed, 1, { workload });
});

describe('a seed of the chain is one run', () => {
  test.each(chainWorkloads)(
    '$name leaves the same trace twice, and with more turns of the microtask queue',
    async (workload) => {
      const plan = chainPlanOf(100, workload.spared);
      const { hash, faults } = await runChainPlan(plan, workload);
      const again = await runChainPlan(plan, workload);
      expect([again.hash, again.faults]).toEqual([hash, faults]);
      const longer = await runChainPlan(plan, workload, { moreTurns: 200 });
      expect(longer.hash).toBe(hash);
    },
    60_000,
  );

  test('a readable trace changes nothing', async () => {
    const silent = await runChainSeed(200, { workload: 'calls' });
    const told = await runChainSeed(200, { workload: 'calls', trace: true });
    expect(told.hash).toBe(silent.hash);
    expect(silent.trace).toEqual([]);
    expect(told.trace.length).toBeGreaterThan(100);
  });
});

/** Programs that count their own starts on their disks. `writes`: they go on to write every 50 ms. */
function startsWorkload(starts: Map<string, number[]>, writes: boolean, spoil?: (context: ChainContext) => void) {
  const start = (context: ChainContext) => {
    const { disk, name, clock, isBusy } = context;
    const table = disk.table<number>('starts');
    const count = (table.get('count') ?? 0) + 1;
    table.set('count', count);
    if (!context.isAlive()) return {};
    starts.set(name, [...(starts.get(name) ?? []), count]);
    const stop = clock.every(50, () => {
      if (writes && isBusy()) table.set('tick', clock.now());
    });
    spoil?.(context);
    return { close: stop };
  };
  const workload: ChainWorkload = {
    name: 'starts',
    begin: () => ({ startProvider: start, startService: start, startLeaf: start }),
  };
  return workload;
}

describe('a process of the chain', () => {
  test('finds on its disk what its last one has written, whichever way that ended', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const starts = new Map<string, number[]>();
      const kinds = ['leafCrash', 'serviceCrash', 'providerCrash', 'leafDeparture', 'crashAtCommit'] as const;
      const { faults } = await runChainSeed(seed, { workload: startsWorkload(starts, true), kinds });
      expect([...starts.keys()]).toEqual(expect.arrayContaining(['provider', 'service', 'leaf-1']));
      for (const counts of starts.values()) expect(new Set(counts).size).toBe(counts.length);
      const restarts = [...starts.values()].reduce((sum, counts) => sum + counts.length - 1, 0);
      expect(restarts).toBe(
        faults.leafCrash + faults.serviceCrash + faults.providerCrash + faults.leafDeparture + faults.crashAtCommit,
      );
    }
  });

  test('may be started again on a disk of some time before', async () => {
    let repeated = 0;
    for (let seed = 1; seed <= 10; seed++) {
      const starts = new Map<string, number[]>();
      const kinds = ['leafCrash', 'leafRollback'] as const;
      await runChainSeed(seed, { workload: startsWorkload(starts, true), kinds });
      for (const counts of starts.values()) repeated += counts.length - new Set(counts).size;
    }
    expect(repeated).toBeGreaterThan(0);
  });

  test('that leaves a timer behind when it closes breaks an invariant, which is made smaller', async () => {
    const leaking = startsWorkload(new Map(), false, ({ name, clock }) => {
      if (name === 'service') clock.every(1_000, () => undefined);
    });
    const { violation } = await runChainSeed(1, { workload: leaking });
    expect(violation).toMatchObject({
      invariant: '9',
      message: 'service was closed and has 1 timers of the application left',
    });
    const less = await shrinkChain(1, '9', { workload: leaking });
    expect(less).toMatchObject({ faults: [], clients: 1 });
  });
});

describe('a disk', () => {
  test('keeps all of a transaction or nothing, and of an inner one that throws nothing', () => {
    const disk = new Disk();
    const table = disk.table<number>('t');
    let commits = 0;
    disk.onCommit = () => {
      commits += 1;
    };
    table.set('a', 1);
    disk.transaction(() => {
      table.set('b', 2);
      expect(() =>
        disk.transaction(() => {
          table.set('a', 9);
          table.delete('b');
          throw new Error('no');
        }),
      ).toThrow('no');
      expect([table.get('a'), table.get('b')]).toEqual([1, 2]);
    });
    expect(() =>
      disk.transaction(() => {
        table.delete('a');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(Object.fromEntries(table.entries())).toEqual({ a: 1, b: 2 });
    expect(commits).toBe(2);
  });

  test('is copied as it is at that moment', () => {
    const disk = new Disk();
    disk.table<number>('t').set('a', 1);
    const copy = new Disk(disk.image());
    disk.table<number>('t').set('a', 2);
    expect(copy.table<number>('t').get('a')).toBe(1);
  });
});
