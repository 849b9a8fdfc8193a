import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { Random } from '../../testUtil/sim/engine/random.ts';
import { VirtualClock } from '../../testUtil/virtualClock.ts';
import { TimerWheel } from '../../transport/wheel.ts';

const SLOT_MS = 20;

function setup(slotMs = SLOT_MS) {
  const clock = new VirtualClock(() => Promise.resolve());
  const errors: unknown[] = [];
  const wheel = new TimerWheel(clock, slotMs, (error) => errors.push(error));
  const startedAt = clock.now();
  const fired: { name: string; at: number; lateMs: number }[] = [];
  const note = (name: string) => (lateMs: number) => fired.push({ name, at: clock.now() - startedAt, lateMs });
  return { clock, wheel, errors, fired, note };
}

describe('a registration', () => {
  test.each([
    { ms: 0, at: 0 },
    { ms: 1, at: 20 },
    { ms: 19.5, at: 20 },
    { ms: 20, at: 20 },
    { ms: 20.001, at: 40 },
    { ms: 21, at: 40 },
    { ms: 30_000, at: 30_000 },
    { ms: 30_001, at: 30_020 },
  ])('after $ms ms fires at $at ms: rounded up to a slot, never down', async ({ ms, at }) => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(ms, note('once'));
    await clock.advance(at - 0.001);
    if (at > 0) expect(fired).toEqual([]);
    await clock.advance(0.001);
    expect(fired).toEqual([{ name: 'once', at, lateMs: expect.closeTo(at - ms, 3) }]);
    await clock.advance(100_000);
    expect(fired).toHaveLength(1);
  });

  test('is rounded up to a slot from whichever moment it was made', async () => {
    const { clock, wheel, fired, note } = setup();
    await clock.advance(13);
    wheel.after(20, note('once'));
    await clock.advance(20);
    expect(fired).toEqual([]);
    await clock.advance(7);
    expect(fired).toEqual([{ name: 'once', at: 40, lateMs: 7 }]);
  });

  test('of months is kept for months', async () => {
    const { clock, wheel, fired, note } = setup();
    const monthMs = 30 * 24 * 3_600_000;
    wheel.after(monthMs, note('month'));
    await clock.advance(monthMs - 1);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toHaveLength(1);
  });

  test('does not fire once it was cancelled, and cancelling twice is harmless', async () => {
    const { clock, wheel, fired, note } = setup();
    const cancel = wheel.after(50, note('cancelled'));
    const kept = wheel.after(50, note('kept'));
    cancel();
    cancel();
    expect(wheel.size).toBe(1);
    await clock.advance(1_000);
    expect(fired.map(({ name }) => name)).toEqual(['kept']);
    kept();
    expect(wheel.size).toBe(0);
  });

  test('in a slot that was emptied fires there all the same', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(100, note('later'));
    wheel.after(40, note('cancelled'))();
    wheel.after(40, note('again'));
    await clock.advance(40);
    expect(fired).toEqual([{ name: 'again', at: 40, lateMs: 0 }]);
    await clock.advance(60);
    expect(fired.map(({ name }) => name)).toEqual(['again', 'later']);
  });

  test('that is nearer than all others is not held up by them', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(1_000, note('far'));
    wheel.after(500, note('middle'));
    wheel.after(20, note('near'));
    await clock.advance(2_000);
    expect(fired.map(({ name, at }) => `${name} ${at}`)).toEqual(['near 20', 'middle 500', 'far 1000']);
  });
});

describe('a period', () => {
  test('fires at its first moment and then every period', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.every(100, note('beat'), 60);
    await clock.advance(400);
    expect(fired.map(({ at }) => at)).toEqual([60, 160, 260, 360]);
    expect(fired.map(({ lateMs }) => lateMs)).toEqual([0, 0, 0, 0]);
  });

  test('does not drift although each beat is rounded up', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.every(33, note('beat'));
    await clock.advance(33_000);
    expect(fired.length).toBeGreaterThanOrEqual(999);
    expect(fired.length).toBeLessThanOrEqual(1_000);
  });

  test('ends where it is cancelled, also from within its own call', async () => {
    const { clock, wheel, fired, note } = setup();
    const outside = wheel.every(100, note('outside'));
    const inside = wheel.every(100, (lateMs) => {
      note('inside')(lateMs);
      if (fired.filter(({ name }) => name === 'inside').length === 2) inside();
    });
    await clock.advance(250);
    outside();
    await clock.advance(1_000);
    expect(fired.map(({ name, at }) => `${name} ${at}`)).toEqual([
      'outside 100',
      'inside 100',
      'outside 200',
      'inside 200',
    ]);
    expect(wheel.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('does not fire in a burst after a stall: once, and then a whole period later', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.every(100, note('beat'));
    await clock.stall(1_010);
    expect(fired).toEqual([{ name: 'beat', at: 1_010, lateMs: 910 }]);
    await clock.advance(400);
    expect(fired.map(({ at }) => at)).toEqual([1_010, 1_120, 1_220, 1_320]);
  });

  test('that was late by less than a period keeps its rhythm', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.every(100, note('beat'));
    await clock.stall(150);
    await clock.advance(160);
    expect(fired).toEqual([
      { name: 'beat', at: 150, lateMs: 50 },
      { name: 'beat', at: 200, lateMs: 0 },
      { name: 'beat', at: 300, lateMs: 0 },
    ]);
  });
});

describe('a turn of the wheel', () => {
  test('passes on how late every call is, in the order of their slots', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(200, note('second'));
    wheel.after(30, note('first'));
    wheel.after(500, note('not yet'));
    await clock.stall(300);
    expect(fired).toEqual([
      { name: 'first', at: 300, lateMs: 270 },
      { name: 'second', at: 300, lateMs: 100 },
    ]);
  });

  test('goes on where a callback throws, and reports it', async () => {
    const { clock, wheel, errors, fired, note } = setup();
    wheel.after(40, note('before'));
    wheel.after(40, () => {
      throw new Error('mine');
    });
    wheel.after(40, note('after'));
    wheel.after(60, note('later'));
    const stop = wheel.every(40, () => {
      throw new Error('every time');
    });
    await clock.advance(90);
    expect(fired.map(({ name }) => name)).toEqual(['before', 'after', 'later']);
    expect(errors.map((error) => (error instanceof Error ? error.message : error))).toEqual([
      'mine',
      'every time',
      'every time',
    ]);
    expect(wheel.size).toBe(1);
    stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test('does not fire what an earlier callback of the same slot has cancelled', async () => {
    const { clock, wheel, fired, note } = setup();
    const victims: (() => void)[] = [];
    wheel.after(40, () => {
      for (const cancel of victims) cancel();
    });
    victims.push(
      wheel.after(40, note('same slot')),
      wheel.every(40, note('same slot, period')),
      wheel.after(60, note('next slot')),
    );
    wheel.after(60, note('kept'));
    await clock.advance(200);
    expect(fired.map(({ name }) => name)).toEqual(['kept']);
    expect(wheel.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('does not fire, late, what a callback of an earlier slot has cancelled', async () => {
    const { clock, wheel, fired, note } = setup();
    const cancel = wheel.after(100, note('cancelled'));
    wheel.after(20, cancel);
    await clock.stall(1_000);
    expect(fired).toEqual([]);
    expect(wheel.size).toBe(0);
  });

  test('fires what a callback registers in its time, not in this turn', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(40, () => {
      wheel.after(20, note('registered'));
      wheel.every(40, note('period'));
    });
    await clock.advance(100);
    expect(fired.map(({ name, at }) => `${name} ${at}`)).toEqual(['registered 60', 'period 80']);
  });

  test('ends although a callback registers itself again for at once: that is for the next turn', async () => {
    const callsByTurn = [0];
    const clock = new VirtualClock(async () => {
      callsByTurn.push(0);
    });
    const wheel = new TimerWheel(clock, SLOT_MS, () => undefined);
    let left = 50;
    const again = () => {
      callsByTurn.push((callsByTurn.pop() ?? 0) + 1);
      left -= 1;
      if (left > 0) wheel.after(0, again);
    };
    wheel.after(20, again);
    await clock.advance(20);
    expect(left).toBe(0);
    expect(Math.max(...callsByTurn)).toBe(1);
  });
});

describe('the platform', () => {
  test('is asked for one timer however many registrations there are, and for none without any', async () => {
    const { clock, wheel } = setup();
    expect(clock.pendingTimers).toBe(0);
    const cancels = Array.from({ length: 1_000 }, (_, n) => wheel.after(n * 7 + 1, () => undefined));
    expect(clock.pendingTimers).toBe(1);
    expect(wheel.size).toBe(1_000);
    await clock.advance(3_500);
    expect(wheel.size).toBe(500);
    expect(clock.pendingTimers).toBe(1);
    for (const cancel of cancels) cancel();
    expect(wheel.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('is asked anew after the wheel was empty', async () => {
    const { clock, wheel, fired, note } = setup();
    wheel.after(20, note('one'));
    await clock.advance(20);
    expect(clock.pendingTimers).toBe(0);
    wheel.after(20, note('two'))();
    wheel.after(20, note('three'));
    await clock.advance(20);
    expect(fired.map(({ name }) => name)).toEqual(['one', 'three']);
  });

  test('a clock that calls too early fires nothing early', () => {
    let now = 0;
    const timers: { at: number; fn: () => void }[] = [];
    const clock = new VirtualClock(() => Promise.resolve());
    clock.now = () => now;
    clock.after = (ms, fn) => {
      timers.push({ at: now + ms, fn });
      return () => undefined;
    };
    let fired = 0;
    new TimerWheel(clock, SLOT_MS, () => undefined).after(40, () => {
      fired += 1;
    });
    now = 39.2;
    timers.shift()?.fn();
    expect(fired).toBe(0);
    expect(timers.map(({ at }) => at)).toEqual([40]);
    now = 40;
    timers.shift()?.fn();
    expect(fired).toBe(1);
  });
});

describe('memory', () => {
  test('what was registered far away and cancelled leaves nothing behind', () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const { wheel } = setup();
    const monthMs = 30 * 24 * 3_600_000;
    wheel.after(monthMs, () => undefined);
    const churn = (times: number) => {
      for (let n = 0; n < times; n++) wheel.after(monthMs + (n % 100) * SLOT_MS, () => undefined)();
      collect();
      return process.memoryUsage().heapUsed;
    };
    churn(1_000);
    const before = churn(1_000);
    const grown = churn(400_000) - before;
    expect(grown).toBeLessThan(1_000_000);
  });
});

interface Modelled {
  name: string;
  dueAt: number;
  periodMs: number;
}

/** What a wheel should do, as a list that is searched from the beginning each time. */
class NaiveWheel {
  readonly fired: string[] = [];
  registrations: Modelled[] = [];
  now: number;

  constructor(now: number) {
    this.now = now;
  }

  static slotOf({ dueAt }: Modelled): number {
    return Math.ceil(dueAt / SLOT_MS);
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const slots = this.registrations.map(NaiveWheel.slotOf);
      const next = Math.min(...slots) * SLOT_MS;
      if (!(next <= until)) break;
      this.now = Math.max(this.now, next);
      this.turn();
    }
    this.now = until;
  }

  stall(ms: number): void {
    this.now += ms;
    this.turn();
  }

  turn(): void {
    for (;;) {
      const due = this.registrations.filter((one) => NaiveWheel.slotOf(one) * SLOT_MS <= this.now);
      const slot = Math.min(...due.map(NaiveWheel.slotOf));
      const first = due.find((one) => NaiveWheel.slotOf(one) === slot);
      if (first === undefined) return;
      const lateMs = this.now - first.dueAt;
      this.fired.push(`${first.name} at ${this.now} late ${lateMs}`);
      this.registrations = this.registrations.filter((one) => one !== first);
      if (first.periodMs === 0) continue;
      const dueAt = lateMs > first.periodMs ? this.now + first.periodMs : first.dueAt + first.periodMs;
      this.registrations.push({ ...first, dueAt });
    }
  }
}

describe('any sequence of registrations, cancellations, advances and stalls', () => {
  test.each(Array.from({ length: 12 }, (_, seed) => seed))('does what a naive list does (seed %d)', async (seed) => {
    const random = new Random(seed);
    const { clock, wheel, errors } = setup();
    const naive = new NaiveWheel(clock.now());
    const fired: string[] = [];
    const cancels = new Map<string, () => void>();
    for (let step = 0; step < 300; step++) {
      const what = random.next();
      const name = `r${step}`;
      const call = (lateMs: number) => fired.push(`${name} at ${clock.now()} late ${lateMs}`);
      if (what < 0.35) {
        const ms = random.integer(0, 3_000) / 4;
        cancels.set(name, wheel.after(ms, call));
        naive.registrations.push({ name, dueAt: clock.now() + ms, periodMs: 0 });
      } else if (what < 0.45) {
        const periodMs = random.integer(1, 200);
        const firstMs = random.integer(1, 200);
        cancels.set(name, wheel.every(periodMs, call, firstMs));
        naive.registrations.push({ name, dueAt: clock.now() + firstMs, periodMs });
      } else if (what < 0.6) {
        const victim = random.pick([...cancels.keys()]);
        if (victim !== undefined) cancels.get(victim)?.();
        naive.registrations = naive.registrations.filter((one) => one.name !== victim);
      } else if (what < 0.9) {
        const ms = random.integer(0, 400) / 4;
        await clock.advance(ms);
        naive.advance(ms);
      } else {
        const ms = random.integer(0, 2_000) / 4;
        await clock.stall(ms);
        naive.stall(ms);
      }
      expect(wheel.size).toBe(naive.registrations.length);
      expect(clock.pendingTimers).toBe(wheel.size === 0 ? 0 : 1);
    }
    expect(fired.length).toBeGreaterThan(100);
    expect(fired).toEqual(naive.fired);
    expect(errors).toEqual([]);
    for (const cancel of cancels.values()) cancel();
    expect(wheel.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
