import { expect, test } from 'vitest';
import type { Clock } from '../../transport/clock.ts';
import { VerdictQueue } from '../../transport/session/verdictQueue.ts';
import { ManualLoop } from '../support/loop.ts';

/** A clock whose time and turns are the test's. */
function setup() {
  let now = 0;
  const loop = new ManualLoop();
  const errors: unknown[] = [];
  const heard: string[] = [];
  const clock: Clock = { ...loop.clock, now: () => now };
  const queue = new VerdictQueue(clock, (error) => errors.push(error));
  return {
    queue,
    errors,
    heard,
    /** A verdict that takes so long. */
    taking: (ms: number, name: string) => () => {
      heard.push(name);
      now += ms;
    },
    loop,
    /** Who was heard in the loop's next turn. */
    turn() {
      loop.turn();
      return heard.splice(0);
    },
  };
}

test('verdicts that take no time come together, in order, and nothing is asked for afterwards', () => {
  const t = setup();
  for (const name of ['first', 'a', 'b', 'c']) t.queue.add(t.taking(0, name));
  expect(t.turn()).toEqual(['first']);
  expect(t.turn()).toEqual(['a', 'b', 'c']);
  expect(t.loop.askedFor).toBe(0);
});

test('once a turn has taken its time the others wait for the next, and none is lost', () => {
  const t = setup();
  for (const name of ['first', 'a', 'b', 'c', 'd']) t.queue.add(t.taking(0.15, name));
  expect(t.turn()).toEqual(['first']);
  expect(t.turn()).toEqual(['a', 'b']);
  expect(t.loop.askedFor).toBe(1);
  expect(t.turn()).toEqual(['c', 'd']);
  expect(t.loop.askedFor).toBe(0);
});

test('a verdict that takes longer than a turn is alone in it', () => {
  const t = setup();
  for (const name of ['a', 'b']) t.queue.add(t.taking(50, name));
  expect(t.turn()).toEqual(['a']);
  expect(t.turn()).toEqual(['b']);
});

test('however many there are, and however long each takes, a turn sees a share of them off', () => {
  const t = setup();
  for (let i = 0; i < 1_000; i++) t.queue.add(t.taking(5, `${i}`));
  let turns = 0;
  for (let seen = 0; seen < 1_000; seen += t.turn().length) turns += 1;
  // 15/16 of them are left after each turn: of 1,000 fewer than 16 after 65, one a turn from then on.
  expect(turns).toBeGreaterThan(16);
  expect(turns).toBeLessThan(90);
  expect(t.loop.askedFor).toBe(0);
});

test('who comes after a turn was asked for waits for one of its own: what had arrived for it was not read yet', () => {
  const t = setup();
  t.queue.add(t.taking(0, 'a'));
  t.queue.add(t.taking(0, 'b'));
  expect(t.turn()).toEqual(['a']);
  expect(t.turn()).toEqual(['b']);
  t.queue.add(() => t.queue.add(t.taking(0, 'd')));
  expect(t.turn()).toEqual([]);
  expect(t.turn()).toEqual(['d']);
  expect(t.loop.askedFor).toBe(0);
});

test('a cancelled verdict does not come; with the last one the turn is given back', () => {
  const t = setup();
  const cancel = t.queue.add(t.taking(0, 'a'));
  const cancelOther = t.queue.add(t.taking(0, 'b'));
  cancel();
  cancel();
  expect(t.loop.askedFor).toBe(1);
  cancelOther();
  expect(t.loop.askedFor).toBe(0);
  expect(t.turn()).toEqual([]);
  t.queue.add(t.taking(0, 'c'));
  expect(t.turn()).toEqual(['c']);
  cancelOther();
  expect(t.loop.askedFor).toBe(0);
});

test('a verdict may cancel those behind it, and add others', () => {
  const t = setup();
  const cancels: (() => void)[] = [];
  t.queue.add(t.taking(0, 'first'));
  t.queue.add(() => {
    for (const cancel of cancels) cancel();
    t.queue.add(t.taking(0, 'd'));
  });
  for (const name of ['b', 'c']) cancels.push(t.queue.add(t.taking(0, name)));
  expect(t.turn()).toEqual(['first']);
  expect(t.turn()).toEqual([]);
  expect(t.loop.askedFor).toBe(1);
  expect(t.turn()).toEqual(['d']);
  expect(t.loop.askedFor).toBe(0);
});

test('a verdict that throws is reported, and those behind it come', () => {
  const t = setup();
  const failure = new Error('planned');
  t.queue.add(() => {
    throw failure;
  });
  t.queue.add(t.taking(0, 'b'));
  t.turn();
  expect(t.turn()).toEqual(['b']);
  expect(t.errors).toEqual([failure]);
});
