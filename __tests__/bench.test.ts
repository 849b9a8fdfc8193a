import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { writeAs } from '../bench/application.ts';
import { Arrivals } from '../bench/arrivals.ts';
import { audit } from '../bench/audit.ts';
import { LateAnswers } from '../bench/growth/lateAnswers.ts';
import type { Exchanged, Spoken } from '../bench/library.ts';
import type { Figures } from '../bench/measuring.ts';
import type { Row, Target } from '../bench/rows.ts';
import { medianOf } from '../bench/statistics.ts';
import { judge } from '../bench/verdict.ts';

describe('a median', () => {
  test.each<[number[], number]>([
    [[3], 3],
    [[9, 1, 5], 5],
    [[10, 2, 4, 1], 3],
  ])('of %j is %d', (figures, median) => expect(medianOf(figures)).toBe(median));

  test('of nothing is an error', () => expect(() => medianOf([])).toThrow(RangeError));
});

describe('a verdict', () => {
  const row = (target: Target): Row => ({
    title: 'a row',
    unit: 'B',
    target,
    prepare: async () => undefined,
    measure: async () => undefined,
  });
  const figures = (ours: number[], theirs?: number[]): Figures =>
    new Map([
      ['holdfast', ours],
      ['ws', theirs],
    ]);

  test('compares within a repetition, not across them', () => {
    const { ratio, ok } = judge(row({ of: 'ratio', bound: 'at least', value: 2 }), figures([20, 2, 200], [10, 1, 100]));
    expect([ratio, ok]).toEqual([2, true]);
  });

  test.each<[Target['bound'], number, boolean]>([
    ['at most', 79, true],
    ['at most', 81, false],
    ['at least', 79, false],
    ['at least', 81, true],
  ])('%s 80 of %d', (bound, figure, expected) => {
    expect(judge(row({ of: 'figure', bound, value: 80 }), figures([figure])).ok).toBe(expected);
  });

  test('is good where nothing is asked', () => {
    const { ratio, target, ok } = judge(row({ of: 'ratio', bound: 'at least', value: undefined }), figures([1], [4]));
    expect([ratio, target, ok]).toEqual([0.25, '–', true]);
  });

  test('is that a target is missed where there is nothing to compare with', () => {
    expect(judge(row({ of: 'ratio', bound: 'at most', value: 2 }), figures([1])).ok).toBe(false);
  });
});

describe('an audit', () => {
  const audited = (spoken: Spoken, exchanged: Exchanged, requests: number, responses: number) =>
    audit({
      spoken: async () => [spoken, undefined],
      talk: async () => exchanged,
      checks: async () => ({ requests, responses }),
    });
  const good: Spoken = { sessions: 1, missing: [] };

  test('passes where every message was checked', async () => {
    await expect(audited(good, { sent: 3, received: 2 }, 3, 2)).resolves.toBeUndefined();
  });

  test.each<[string, Spoken, number, number]>([
    ['extension', { sessions: 1, missing: ['compact in session-1'] }, 3, 2],
    ['no session', { sessions: 0, missing: [] }, 3, 2],
    ['checked', good, 2, 2],
    ['checked', good, 3, 3],
  ])('fails and says: %s', async (said, spoken, requests, responses) => {
    await expect(audited(spoken, { sent: 3, received: 2 }, requests, responses)).rejects.toThrow(said);
  });
});

describe('a writer', () => {
  test('that heeds backpressure waits each time it is told to', async () => {
    let waits = 0;
    const written = await writeAs(
      { ms: 60_000, messages: 10, heeds: true },
      ({ n }) => n % 2 === 0,
      async () => {
        waits += 1;
      },
    );
    expect([written, waits]).toEqual([10, 5]);
  });

  test('that does not writes them all in one turn', () => {
    let written = 0;
    const write = () => {
      written += 1;
      return false;
    };
    void writeAs({ ms: 60_000, messages: 10, heeds: false }, write, () => Promise.reject(new Error('it waited')));
    expect(written).toBe(10);
  });

  test('stops when its time is over', async () => {
    expect(
      await writeAs(
        { ms: 0, messages: 10, heeds: true },
        () => true,
        async () => undefined,
      ),
    ).toBe(0);
  });
});

test('arrivals are told of when the last one is there', async () => {
  const arrivals = new Arrivals();
  const all = arrivals.expect(2, 60_000);
  arrivals.add();
  arrivals.add();
  await expect(all).resolves.toBeGreaterThan(0);
});

test('arrivals that came before anybody asked count, and those before a restart do not', async () => {
  const arrivals = new Arrivals();
  arrivals.add();
  arrivals.restart();
  arrivals.add();
  arrivals.add();
  await expect(arrivals.reached(2, 60_000)).resolves.toBeGreaterThan(0);
  const third = arrivals.reached(3, 60_000);
  expect(await Promise.race([third, 'not yet'])).toBe('not yet');
  arrivals.add();
  await expect(third).resolves.toBeGreaterThan(0);
});

test('a late answer leaves once as many messages more have come, and all do when there is no lag', () => {
  const sent: number[] = [];
  const ws = Object.assign(new EventEmitter(), { send: (bytes: Uint8Array) => sent.push(bytes[0] ?? -1) });
  const late = new LateAnswers();
  late.attach(ws as unknown as WebSocket); // all that is used of one
  ws.send(Uint8Array.of(1));
  late.lagBehind(2);
  ws.send(Uint8Array.of(2));
  late.add();
  ws.send(Uint8Array.of(3));
  expect(sent).toEqual([1]);
  late.add();
  expect(sent).toEqual([1, 2]);
  late.lagBehind(0);
  expect(sent).toEqual([1, 2, 3]);
});
