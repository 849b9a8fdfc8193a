import { expect, test } from 'vitest';
import { TurnEnd } from '../../transport/session/turnEnd.ts';
import { ManualLoop, microtasks } from '../support/loop.ts';

const MANY = 16;

/** A turn end whose loop comes round when the test says so. */
function setup() {
  const loop = new ManualLoop();
  const errors: unknown[] = [];
  const told: string[] = [];
  const turnEnd = new TurnEnd(loop.clock, (error) => errors.push(error));
  return {
    turnEnd,
    errors,
    add: (name: string) => turnEnd.add({ onTurnOver: () => told.push(name) }),
    /** So many, whose names begin so. */
    addMany(name: string, count: number): string[] {
      const names = Array.from({ length: count }, (_, i) => `${name}${i}`);
      for (const one of names) this.add(one);
      return names;
    },
    /** Who was told since this was asked last. */
    told: () => told.splice(0),
    loop,
  };
}

test('a few are told with the end of their turn, in order, and the loop is asked for nothing', async () => {
  const t = setup();
  const names = t.addMany('a', MANY - 1);
  expect(t.told()).toEqual([]);
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.loop.askedFor).toBe(0);
  expect(t.turnEnd.holdsBack).toBe(false);
});

test('many are told once what had arrived was read, in order', async () => {
  const t = setup();
  const names = t.addMany('a', MANY);
  await microtasks();
  expect(t.told()).toEqual([]);
  expect(t.loop.askedFor).toBe(1);
  expect(t.turnEnd.holdsBack).toBe(true);
  t.loop.turn();
  expect(t.told()).toEqual(names);
  expect(t.turnEnd.holdsBack).toBe(false);
});

test('who speaks while many wait does not wait for them', async () => {
  const t = setup();
  const names = t.addMany('a', MANY);
  await microtasks();
  t.add('lone');
  await microtasks();
  expect(t.told()).toEqual(['lone']);
  t.loop.turn();
  expect(t.told()).toEqual(names);
});

test('many more wait for the same moment, and for no later one', async () => {
  const t = setup();
  const first = t.addMany('a', MANY);
  await microtasks();
  const second = t.addMany('b', MANY);
  await microtasks();
  expect(t.loop.askedFor).toBe(1);
  t.loop.turn();
  expect(t.told()).toEqual([...first, ...second]);
  expect(t.loop.askedFor).toBe(0);
});

test('those that many bring up while they are told have a moment of their own', async () => {
  const t = setup();
  let brought: string[] = [];
  t.turnEnd.add({
    onTurnOver: () => {
      brought = t.addMany('b', MANY);
    },
  });
  const names = t.addMany('a', MANY);
  await microtasks();
  t.loop.turn();
  expect(t.told()).toEqual(names);
  await microtasks();
  expect(t.told()).toEqual([]);
  t.loop.turn();
  expect(t.told()).toEqual(brought);
});

test.each([1, MANY])('one of them that throws is reported, and the others are told (with %i others)', async (count) => {
  const t = setup();
  const error = new Error('thrown on purpose');
  t.turnEnd.add({
    onTurnOver: () => {
      throw error;
    },
  });
  const names = t.addMany('a', count);
  await microtasks();
  t.loop.turn();
  expect(t.told()).toEqual(names);
  expect(t.errors).toEqual([error]);
});

test('once it is closed nobody waits for the loop any more', async () => {
  const t = setup();
  t.addMany('a', MANY);
  await microtasks();
  t.turnEnd.close();
  expect(t.loop.askedFor).toBe(0);
  expect(t.turnEnd.holdsBack).toBe(false);
  t.loop.turn();
  expect(t.told()).toEqual([]);
});
