import { describe, expect, test } from 'vitest';
import { verdictAfter } from '../../transport/session/verdict.ts';
import { StateBench } from '../support/states.ts';

const BEAT_MS = 1_000;
const HANDSHAKE_MS = 3_000;

function setup() {
  const bench = new StateBench({ heartbeatIntervalMs: BEAT_MS, handshakeTimeoutMs: HANDSHAKE_MS });
  const { clock } = bench;
  const verdicts: number[] = [];
  const startedAt = clock.now();
  const cancel = verdictAfter(bench.env, 10_000, () => verdicts.push(clock.now() - startedAt));
  return { bench, clock, verdicts, cancel };
}

/** A whole turn of the loop, and one more: what `afterIo` waits for. */
async function io(): Promise<void> {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a verdict', () => {
  test('comes in its time, once, and after what has arrived was read', async () => {
    const { bench, clock, verdicts } = setup();
    await clock.advance(9_999);
    await io();
    expect(verdicts).toEqual([]);
    await clock.advance(1);
    expect(verdicts).toEqual([]);
    await io();
    expect(verdicts).toEqual([10_000]);
    await clock.advance(60_000);
    await io();
    expect(verdicts).toHaveLength(1);
    expect(bench.timers).toBe(0);
  });

  test('that is late by no more than half a heartbeat is not postponed', async () => {
    const { clock, verdicts } = setup();
    await clock.stall(10_000 + BEAT_MS / 2);
    await io();
    expect(verdicts).toHaveLength(1);
  });

  test('that is late by more leaves the time of one handshake, and then comes even if it is late again', async () => {
    const { bench, clock, verdicts } = setup();
    await clock.stall(10_000 + BEAT_MS / 2 + 1);
    await io();
    expect(verdicts).toEqual([]);
    await clock.advance(HANDSHAKE_MS - 1);
    await io();
    expect(verdicts).toEqual([]);
    await clock.stall(100_000);
    await io();
    expect(verdicts).toHaveLength(1);
    expect(bench.timers).toBe(0);
  });

  test('is due at once where its time is over', async () => {
    const { env, clock } = new StateBench();
    let verdicts = 0;
    verdictAfter(env, -5_000, () => {
      verdicts += 1;
    });
    await clock.advance(20);
    await io();
    expect(verdicts).toBe(1);
  });

  test.each([
    { when: 'before its time', reach: async () => undefined },
    {
      when: 'while it waits for what has arrived',
      reach: ({ clock }: ReturnType<typeof setup>) => clock.advance(10_000),
    },
    { when: 'while it is postponed', reach: ({ clock }: ReturnType<typeof setup>) => clock.stall(20_000) },
  ])('does not come once it was cancelled $when', async ({ reach }) => {
    const set = setup();
    await reach(set);
    set.cancel();
    expect(set.bench.timers).toBe(0);
    await set.clock.advance(60_000);
    await io();
    expect(set.verdicts).toEqual([]);
  });
});
