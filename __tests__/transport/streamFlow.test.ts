import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StreamFlow } from '../../transport/session/streamFlow.ts';
import { bytesKeptBy } from '../attacks/support/memory.ts';

const receiver = { onMessage: () => undefined, onSessionEnd: () => undefined };
const bytes = (length: number) => new Uint8Array(length);

/** A flow with so much to send from the start, and so much to receive. */
function flow({ limit = 100, window = 100 } = {}): StreamFlow {
  const made = new StreamFlow('1', 1, receiver);
  made.begin(limit, window);
  return made;
}

describe('what a side may send', () => {
  test('is everything where credit is not agreed on', () => {
    const free = new StreamFlow('1', 1, receiver);
    for (let n = 0; n < 10; n++) expect(free.take(1e9)).toBe(true);
    expect(free.hasCredit).toBe(true);
  });

  test('is bounded by the limit, which one message may exceed', () => {
    const one = flow();
    expect([one.take(60), one.take(60), one.take(1)]).toEqual([true, true, false]);
    expect(one.hasCredit).toBe(false);
  });

  test('includes what costs nothing, unless something waits before it', () => {
    const one = flow();
    one.take(200);
    expect(one.take(0)).toBe(true);
    one.wait(bytes(5), 5);
    expect(one.take(0)).toBe(false);
  });

  test.each([
    ['higher than before', 150, true],
    ['the same as before', 100, false],
    ['lower than before', 40, false],
  ])('with a limit that is %s', (_what, limit, saysNew) => {
    const one = flow();
    one.take(120);
    expect(one.allow(limit)).toBe(saysNew);
    expect(one.hasCredit).toBe(saysNew);
  });

  test('comes out in order as limits rise, the last word with what is before it', () => {
    const one = flow();
    one.take(100);
    for (const cost of [50, 50, 50, 0]) one.wait(bytes(cost + 1), cost);
    expect([one.waitingCount, one.waitingBytes, one.isDraining]).toEqual([4, 154, true]);
    expect(one.next()).toBeUndefined();
    one.allow(160);
    expect([one.next()?.cost, one.next()?.cost, one.next()?.cost]).toEqual([50, 50, undefined]);
    one.allow(201);
    expect([one.next()?.cost, one.next()?.cost, one.next()?.cost]).toEqual([50, 0, undefined]);
    expect([one.waitingCount, one.waitingBytes, one.isDraining, one.hasCredit]).toEqual([0, 0, false, false]);
  });

  test('is forgotten where nobody wants it', () => {
    const one = flow();
    one.take(100);
    for (let n = 0; n < 3; n++) one.wait(bytes(10), 10);
    one.allow(105);
    one.next();
    one.discard();
    one.allow(1_000);
    expect([one.next(), one.waitingCount, one.waitingBytes, one.hasCredit]).toEqual([undefined, 0, 0, true]);
  });

  test('tells who waits for the last of it', () => {
    const one = flow();
    one.take(100);
    one.wait(bytes(10), 10);
    const told: number[] = [];
    one.onceFramed((seq) => told.push(seq));
    one.allow(200);
    for (const fn of one.next()?.onFramed ?? []) fn(7);
    expect(told).toEqual([7]);
  });
});

test('a stream on which one message always waits keeps nothing of those that have gone', async () => {
  const one = flow({ limit: 1 });
  one.take(74);
  one.wait(bytes(10), 74);
  const kept = await bytesKeptBy(() => {
    for (let limit = 75; limit < 74 * 200_000; limit += 74) {
      one.wait(bytes(10), 74);
      one.allow(limit);
      while (one.next() !== undefined);
    }
    return one;
  });
  expect(one.waitingCount).toBe(1);
  expect(kept).toBeLessThan(200_000);
});

describe('what the peer may send', () => {
  test('is refused from the message on that follows the one which exceeds the limit', () => {
    const one = flow();
    const may = [60, 60, 1].map((cost) => {
      const { mayReceive } = one;
      one.receive(cost, cost);
      return mayReceive;
    });
    expect(may).toEqual([true, true, false]);
  });

  test('grows when half the window was read, by what was read', () => {
    const one = flow();
    one.receive(60, 60);
    expect(one.consume(49, 100)).toBe(false);
    expect(one.consume(1, 100)).toBe(true);
    expect([one.granted, one.heldBytes, one.wasGranted]).toEqual([150, 10, true]);
  });

  test('grows at once where the peer waits for it', () => {
    const one = flow();
    one.receive(120, 120);
    expect(one.consume(30, 100)).toBe(true);
    expect(one.granted).toBe(130);
  });

  test('grows less where there is less room, and never shrinks', () => {
    const one = flow();
    one.receive(100, 100);
    expect(one.consume(40, 10)).toBe(false);
    expect(one.granted).toBe(100);
    expect(one.consume(55, 10)).toBe(true);
    expect(one.granted).toBe(105);
  });

  test('goes on growing without a stop where room is less than the window', () => {
    const one = flow({ window: 1_000 });
    let granted = one.granted;
    let grants = 0;
    for (let n = 0; n < 100; n++) {
      // The peer is never at its limit: whoever waits for that stops and goes.
      expect(one.mayReceive).toBe(true);
      one.receive(50, 50);
      if (one.consume(50, 200)) grants += 1;
      expect(one.granted).toBeGreaterThanOrEqual(granted);
      granted = one.granted;
    }
    expect(one.granted).toBeGreaterThan(5_000 + 100);
    expect(grants).toBeGreaterThan(30);
    expect(grants).toBeLessThan(60);
  });

  test('is one message more once everything was read, though there is no room at all', () => {
    const one = flow();
    one.receive(100, 100);
    expect(one.consume(100, 0)).toBe(true);
    expect(one.granted).toBe(101);
  });

  test('does not depend on what messages count for beyond their cost, and that goes with them', () => {
    const one = flow();
    one.receive(30, 230);
    one.receive(70, 71);
    expect([one.heldBytes, one.mayReceive, one.granted]).toEqual([301, false, 100]);
    const left = [30, 70].map((cost) => {
      one.consume(cost, 100);
      return one.heldBytes;
    });
    expect(left).toEqual([70 + Math.floor(201 * 0.7), 0]);
    expect(one.granted).toBe(200);
  });

  test('nobody ever waits for ever, and never more than the window and a message is unread', () => {
    const step = fc.record({
      cost: fc.integer({ min: 65, max: 300 }),
      reads: fc.nat(3),
      share: fc.integer({ min: -5, max: 400 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const window = 200;
        const sender = flow({ limit: window });
        const reader = flow({ window });
        const unread: number[] = [];
        let sent = 0;
        const arrive = (cost: number) => {
          expect(reader.mayReceive).toBe(true);
          reader.receive(cost, cost);
          unread.push(cost);
          expect(reader.heldBytes).toBeLessThanOrEqual(window + 300);
        };
        const pump = () => {
          for (let next = sender.next(); next !== undefined; next = sender.next()) arrive(next.cost);
        };
        const read = (share: number) => {
          const cost = unread.shift();
          if (cost !== undefined && reader.consume(cost, share)) sender.allow(reader.granted);
          pump();
        };
        for (const { cost, reads, share } of steps) {
          sent += 1;
          if (sender.take(cost)) arrive(cost);
          else sender.wait(bytes(cost), cost);
          for (let n = 0; n < reads; n++) read(share);
        }
        for (let n = 0; n < sent; n++) read(-1);
        expect([sender.waitingCount, unread.length]).toEqual([0, 0]);
      }),
    );
  });
});
