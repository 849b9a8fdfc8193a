import { expect, test, vi } from 'vitest';
import type { Clock } from '../../transport/clock.ts';
import { TurnEnd } from '../../transport/session/turnEnd.ts';
import { ManualLoop, microtasks } from '../support/loop.ts';

const MANY = 16;
/** What it takes one to speak. */
const ONE_MS = 0.125;
/** What it takes many. */
const MANY_MS = MANY * ONE_MS;

/** A turn end whose time and loop are the test's. */
function setup() {
  const loop = new ManualLoop();
  let now = 1_000;
  const errors: unknown[] = [];
  const told: string[] = [];
  let held: string[] = [];
  const clock: Clock = { ...loop.clock, now: () => now };
  const turnEnd = new TurnEnd(clock, (error) => errors.push(error));
  return {
    turnEnd,
    loop,
    errors,
    add(name: string) {
      const onTurnOver = () => {
        told.push(name);
        held = held.filter((other) => other !== name);
        now += ONE_MS;
      };
      turnEnd.add({ onTurnOver, onHeld: () => held.push(name) });
    },
    /** So many, whose names begin so. */
    addMany(name: string, count = MANY): string[] {
      const names = Array.from({ length: count }, (_, i) => `${name}${i}`);
      for (const one of names) this.add(one);
      return names;
    },
    /** Many have just spoken. */
    async afterMany() {
      this.addMany('first');
      await microtasks();
      this.told();
    },
    /** Who was told since this was asked last. */
    told: () => told.splice(0),
    get held() {
      return held;
    },
    pass(ms: number) {
      now += ms;
    },
  };
}

test('a few are told with the end of their turn, in order, and the loop is asked for nothing', async () => {
  const t = setup();
  const names = t.addMany('a', MANY - 1);
  expect(t.told()).toEqual([]);
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.loop.askedFor).toBe(0);
  expect(t.held).toEqual([]);
});

test('one microtask is asked for, however many speak', async () => {
  const t = setup();
  const asked = vi.spyOn(globalThis, 'queueMicrotask');
  t.addMany('a', 500);
  expect(asked).toHaveBeenCalledTimes(1);
  asked.mockRestore();
  await microtasks();
});

test('many are told with the end of their turn, too, where no others have just spoken', async () => {
  const t = setup();
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.held).toEqual([]);
  t.loop.turn();
  expect(t.told()).toEqual([]);
  expect(t.loop.askedFor).toBe(0);
});

test('the next many are told once what had arrived meanwhile was read, in order', async () => {
  const t = setup();
  await t.afterMany();
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual([]);
  expect(t.loop.askedFor).toBe(1);
  expect(t.held).toEqual(names);
  t.loop.turn();
  expect(t.told()).toEqual(names);
  expect(t.held).toEqual([]);
});

test('many that come after that wait for nothing', async () => {
  const t = setup();
  await t.afterMany();
  t.loop.turn();
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual(names);
});

test('many that waited are many that have spoken: the next ones wait', async () => {
  const t = setup();
  await t.afterMany();
  t.addMany('a');
  await microtasks();
  t.loop.turn();
  t.told();
  const names = t.addMany('b');
  await microtasks();
  expect(t.told()).toEqual([]);
  t.loop.turn();
  expect(t.told()).toEqual(names);
});

test('a few that have spoken make nobody wait', async () => {
  const t = setup();
  t.addMany('few', MANY - 1);
  await microtasks();
  t.told();
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual(names);
});

test('who speaks while many wait does not wait for them', async () => {
  const t = setup();
  await t.afterMany();
  const names = t.addMany('a');
  await microtasks();
  t.add('lone');
  await microtasks();
  expect(t.told()).toEqual(['lone']);
  t.loop.turn();
  expect(t.told()).toEqual(names);
});

test('many more wait for the same moment', async () => {
  const t = setup();
  await t.afterMany();
  const first = t.addMany('a');
  await microtasks();
  const second = t.addMany('b');
  await microtasks();
  expect(t.loop.askedFor).toBe(1);
  t.loop.turn();
  expect(t.told()).toEqual([...first, ...second]);
});

test('nobody waits where more time has passed than it took the others to speak', async () => {
  const t = setup();
  await t.afterMany();
  t.pass(MANY_MS - ONE_MS);
  const waiting = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual([]);
  t.pass(ONE_MS);
  const late = t.addMany('b');
  await microtasks();
  expect(t.told()).toEqual([...waiting, ...late]);
  expect(t.held).toEqual([]);
  expect(t.loop.askedFor).toBe(1);
});

test.each(['another speaks', 'one of them has more to say'])(
  'a loop that does not come round keeps nobody: %s once that time is over',
  async (what) => {
    const t = setup();
    await t.afterMany();
    const names = t.addMany('a');
    await microtasks();
    t.pass(MANY_MS - ONE_MS);
    t.turnEnd.remind();
    await microtasks();
    expect(t.told()).toEqual([]);
    t.pass(ONE_MS);
    if (what === 'another speaks') t.add('lone');
    else t.turnEnd.remind();
    await microtasks();
    expect(t.told()).toEqual(what === 'another speaks' ? ['lone', ...names] : names);
  },
);

test('those that many bring up while they are told have a turn of their own, and are the next many', async () => {
  const t = setup();
  let brought: string[] = [];
  t.turnEnd.add({
    onTurnOver: () => {
      brought = t.addMany('b');
    },
    onHeld: () => undefined,
  });
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual(names);
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
    onHeld: () => undefined,
  });
  const names = t.addMany('a', count);
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.errors).toEqual([error]);
});

test('once it is closed nobody waits for the loop any more', async () => {
  const t = setup();
  await t.afterMany();
  t.addMany('a');
  await microtasks();
  t.turnEnd.close();
  expect(t.loop.askedFor).toBe(0);
  t.turnEnd.remind();
  await microtasks();
  expect(t.told()).toEqual([]);
});

test('nor is anybody held who had spoken in the turn in which it is closed', async () => {
  const t = setup();
  await t.afterMany();
  const names = t.addMany('a');
  t.turnEnd.close();
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.held).toEqual([]);
  expect(t.loop.askedFor).toBe(0);
});

test('many of whom one closes it are told, and the loop is asked for nothing', async () => {
  const t = setup();
  t.turnEnd.add({ onTurnOver: () => t.turnEnd.close(), onHeld: () => undefined });
  const names = t.addMany('a');
  await microtasks();
  expect(t.told()).toEqual(names);
  expect(t.loop.askedFor).toBe(0);
});
