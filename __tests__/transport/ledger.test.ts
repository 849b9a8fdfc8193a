import { describe, expect, test } from 'vitest';
import { Random } from '../../testUtil/sim/engine/random.ts';
import { LedgerError } from '../../transport/errors.ts';
import { Ledger } from '../../transport/session/ledger.ts';
import { varintLength, writeVarint } from '../../transport/varint.ts';
import { bytesKeptBy } from '../attacks/support/memory.ts';

/** A frame that says which it is. */
function frame(n: number, bytes = 4): Uint8Array {
  const made = new Uint8Array(bytes);
  new DataView(made.buffer).setUint32(0, n);
  return made;
}

function numberOf(made: Uint8Array): number {
  return new DataView(made.buffer, made.byteOffset).getUint32(0);
}

function ledgerOf(count: number): Ledger {
  const ledger = new Ledger();
  for (let n = 0; n < count; n++) ledger.append(frame(n));
  return ledger;
}

function unackedOf(ledger: Ledger): number[] {
  const numbers: number[] = [];
  for (let seq = ledger.oldestUnackedSeq; seq < ledger.nextSeq; seq++) {
    const frame = ledger.frameAt(seq);
    if (frame === undefined) throw new Error(`frame ${seq} is gone`);
    numbers.push(numberOf(frame));
  }
  return numbers;
}

describe('a new ledger', () => {
  test('has sent nothing, received nothing and keeps nothing', () => {
    const { nextSeq, oldestUnackedSeq, ack, unackedCount, unackedBytes } = new Ledger();
    expect({ nextSeq, oldestUnackedSeq, ack, unackedCount, unackedBytes }).toEqual({
      nextSeq: 0,
      oldestUnackedSeq: 0,
      ack: 0,
      unackedCount: 0,
      unackedBytes: 0,
    });
    expect(unackedOf(new Ledger())).toEqual([]);
  });
});

/** Frames as they leave together: behind something else, each behind its length. */
function carrierOf(frames: readonly Uint8Array[]): Uint8Array {
  const carrier = new Uint8Array(7 + frames.reduce((sum, { length }) => sum + varintLength(length) + length, 0));
  let at = 7;
  for (const frame of frames) {
    at = writeVarint(carrier, at, frame.length);
    carrier.set(frame, at);
    at += frame.length;
  }
  return carrier;
}

/** Packs frames of a ledger, as if they had just left. */
function packIn(ledger: Ledger, firstSeq: number, count: number): void {
  const frames: Uint8Array[] = [];
  for (let seq = firstSeq; seq < firstSeq + count; seq++) frames.push(ledger.frameAt(seq) ?? new Uint8Array(0));
  ledger.pack(firstSeq, frames, carrierOf(frames));
}

describe('frames that left together', () => {
  test('are kept in what carried them', () => {
    const ledger = ledgerOf(4);
    const frames = [1, 2, 3].map((seq) => ledger.frameAt(seq) ?? new Uint8Array(0));
    const carrier = carrierOf(frames);
    ledger.pack(1, frames, carrier);
    expect(unackedOf(ledger)).toEqual([0, 1, 2, 3]);
    expect(ledger.frameAt(1)?.buffer).toBe(carrier.buffer);
    expect(ledger.frameAt(0)?.buffer).not.toBe(carrier.buffer);
    ledger.append(frame(4));
    expect(unackedOf(ledger)).toEqual([0, 1, 2, 3, 4]);
    expect(ledger.unackedBytes).toBe(20);
  });

  test('may have been confirmed meanwhile', () => {
    const ledger = ledgerOf(4);
    const frames = [0, 1, 2, 3].map((seq) => ledger.frameAt(seq) ?? new Uint8Array(0));
    ledger.confirm(2);
    ledger.pack(0, frames, carrierOf(frames));
    expect(unackedOf(ledger)).toEqual([2, 3]);
    ledger.confirm(4);
    expect(ledger.unackedBytes).toBe(0);
  });

  test('are not kept once more if all of them have been confirmed meanwhile', async () => {
    const ledger = new Ledger();
    const kept = await bytesKeptBy(() => {
      for (let n = 0; n < 4; n++) ledger.append(frame(n, 1_000_000));
      const frames = [0, 1, 2, 3].map((seq) => ledger.frameAt(seq) ?? new Uint8Array(0));
      ledger.confirm(4);
      ledger.pack(0, frames, carrierOf(frames));
      return ledger;
    });
    expect(kept).toBeLessThan(1_000_000);
  });

  test('hold no more than twice the memory that they count for', () => {
    const ledger = new Ledger();
    for (let n = 0; n < 100; n++) ledger.append(frame(n, 200));
    packIn(ledger, 0, 100);
    for (let ack = 1; ack < 100; ack++) {
      ledger.confirm(ack);
      expect(unackedOf(ledger)[0]).toBe(ack);
      expect(ledger.frameAt(ack)?.buffer.byteLength).toBeLessThanOrEqual(2 * ledger.unackedBytes + 7 + 4 * 100);
    }
  });

  test('are what they were, whatever is sent, packed and confirmed', () => {
    const random = new Random(7);
    const ledger = new Ledger();
    const lengths: number[] = [];
    for (let round = 0; round < 3_000; round++) {
      const dice = random.next();
      if (dice < 0.5) {
        const length = 4 + Math.floor(random.next() ** 4 * 20_000);
        ledger.append(frame(lengths.length, length));
        lengths.push(length);
      } else if (dice < 0.75) {
        const first = ledger.oldestUnackedSeq + Math.floor(random.next() * ledger.unackedCount);
        packIn(ledger, first, Math.floor(random.next() * (ledger.nextSeq - first + 1)));
      } else ledger.confirm(ledger.oldestUnackedSeq + Math.floor(random.next() ** 3 * (ledger.unackedCount + 1)));
      const expected = lengths.slice(ledger.oldestUnackedSeq);
      expect(ledger.unackedBytes).toBe(expected.reduce((sum, length) => sum + length, 0));
      const seq = ledger.oldestUnackedSeq + Math.floor(random.next() * expected.length);
      if (expected.length === 0) continue;
      const kept = ledger.frameAt(seq) ?? new Uint8Array(0);
      expect([numberOf(kept), kept.length]).toEqual([seq, lengths[seq]]);
    }
    expect(unackedOf(ledger)).toEqual(lengths.map((_, n) => n).slice(ledger.oldestUnackedSeq));
  });
});

describe('sending', () => {
  test('numbers messages from 0 and keeps each until it is confirmed', () => {
    const ledger = ledgerOf(3);
    expect(ledger.nextSeq).toBe(3);
    expect(ledger.oldestUnackedSeq).toBe(0);
    expect(ledger.unackedCount).toBe(3);
    expect(ledger.unackedBytes).toBe(12);
    expect(unackedOf(ledger)).toEqual([0, 1, 2]);
  });

  test.each([
    { ack: 0, kept: [0, 1, 2] },
    { ack: 1, kept: [1, 2] },
    { ack: 2, kept: [2] },
    { ack: 3, kept: [] },
  ])('an ack of $ack of 3 leaves $kept', ({ ack, kept }) => {
    const ledger = ledgerOf(3);
    ledger.confirm(ack);
    expect(unackedOf(ledger)).toEqual(kept);
    expect(ledger.oldestUnackedSeq).toBe(ack);
    expect(ledger.unackedCount).toBe(kept.length);
    expect(ledger.unackedBytes).toBe(kept.length * 4);
    expect(ledger.nextSeq).toBe(3);
  });

  test('an ack below the highest seen says nothing new', () => {
    const ledger = ledgerOf(3);
    ledger.confirm(2);
    ledger.confirm(1);
    ledger.confirm(0);
    expect(ledger.oldestUnackedSeq).toBe(2);
    expect(unackedOf(ledger)).toEqual([2]);
  });

  test.each([1, 4, 2 ** 31, Number.MAX_SAFE_INTEGER])(
    'an ack of %d, beyond what was sent, is an error and changes nothing',
    (beyond) => {
      const ledger = new Ledger();
      if (beyond > 1) for (let n = 0; n < 3; n++) ledger.append(frame(n));
      expect(() => ledger.confirm(beyond)).toThrow(LedgerError);
      expect(() => ledger.confirm(beyond)).toThrow(new RegExp(`${beyond} next, but only ${ledger.nextSeq}`));
      expect(ledger.oldestUnackedSeq).toBe(0);
      expect(ledger.unackedCount).toBe(ledger.nextSeq);
    },
  );
});

describe('receiving', () => {
  test('judges a seq against the next expected one without changing anything', () => {
    const ledger = new Ledger();
    for (let n = 0; n < 5; n++) ledger.advance();
    expect(ledger.ack).toBe(5);
    expect([0, 3, 4, 5, 6, 7, Number.MAX_SAFE_INTEGER].map((seq) => ledger.judge(seq))).toEqual([
      'duplicate',
      'duplicate',
      'duplicate',
      'next',
      'gap',
      'gap',
      'gap',
    ]);
    expect(ledger.ack).toBe(5);
  });

  test('expects 0 first', () => {
    expect(new Ledger().judge(0)).toBe('next');
    expect(new Ledger().judge(1)).toBe('gap');
  });
});

describe('waiting for a confirmation', () => {
  test('a waiter is called once, when everything below its seq is confirmed, and not before', () => {
    const ledger = ledgerOf(4);
    const called: number[] = [];
    for (const seq of [1, 2, 4]) ledger.onceConfirmed(seq, () => called.push(seq));
    ledger.confirm(1);
    expect(called).toEqual([1]);
    ledger.confirm(3);
    expect(called).toEqual([1, 2]);
    ledger.confirm(4);
    ledger.confirm(4);
    expect(called).toEqual([1, 2, 4]);
  });

  test('what is confirmed already is not waited for', () => {
    const ledger = ledgerOf(2);
    ledger.confirm(2);
    const called: number[] = [];
    ledger.onceConfirmed(2, () => called.push(2));
    new Ledger().onceConfirmed(0, () => called.push(0));
    expect(called).toEqual([2, 0]);
  });

  test('a waiter that was withdrawn, or dropped, is not called', () => {
    const ledger = ledgerOf(2);
    const called: string[] = [];
    const withdraw = ledger.onceConfirmed(1, () => called.push('withdrawn'));
    ledger.onceConfirmed(1, () => called.push('kept'));
    ledger.onceConfirmed(2, () => called.push('dropped'));
    withdraw();
    ledger.confirm(1);
    ledger.end();
    ledger.confirm(2);
    expect(called).toEqual(['kept']);
  });

  test('of what has ended nothing is kept, and numbers stay what they were', () => {
    const ledger = ledgerOf(3);
    ledger.confirm(1);
    ledger.end();
    expect([ledger.nextSeq, ledger.unackedCount, ledger.unackedBytes, ledger.frameAt(1)]).toEqual([3, 0, 0, undefined]);
  });

  test('a waiter that waits again from within its call waits for what was sent since', () => {
    const ledger = ledgerOf(1);
    const called: string[] = [];
    ledger.onceConfirmed(1, () => {
      called.push('first');
      ledger.append(frame(1));
      ledger.onceConfirmed(ledger.nextSeq, () => called.push('second'));
    });
    ledger.confirm(1);
    expect(called).toEqual(['first']);
    ledger.confirm(2);
    expect(called).toEqual(['first', 'second']);
  });
});

describe('any sequence of sends and acks', () => {
  test.each([1, 2, 3, 4, 5, 6])('behaves as a list that is cut from the front (seed %d)', (seed) => {
    const random = new Random(seed);
    const ledger = new Ledger();
    let model: Uint8Array[] = [];
    let oldest = 0;
    let sent = 0;
    const waits: { seq: number; calls: number }[] = [];
    for (let step = 0; step < 3_000; step++) {
      const what = random.next();
      if (what < 0.6) {
        const made = frame(sent++, random.integer(4, 40));
        model.push(made);
        ledger.append(made);
      } else if (what < 0.9) {
        const ack = random.integer(Math.max(0, oldest - 5), sent);
        ledger.confirm(ack);
        if (ack > oldest) {
          model = model.slice(ack - oldest);
          oldest = ack;
        }
      } else {
        // As a session does: each waits for everything sent so far.
        const wait = { seq: sent, calls: 0 };
        waits.push(wait);
        ledger.onceConfirmed(wait.seq, () => {
          wait.calls += 1;
        });
      }
      expect(ledger.nextSeq).toBe(sent);
      expect(ledger.oldestUnackedSeq).toBe(oldest);
      expect(ledger.unackedCount).toBe(model.length);
      if (step % 50 === 0) expect(unackedOf(ledger)).toEqual(model.map(numberOf));
    }
    expect(ledger.unackedBytes).toBe(model.reduce((sum, made) => sum + made.length, 0));
    for (const { seq, calls } of waits) expect(calls).toBe(seq <= oldest ? 1 : 0);
  });

  test('keeps nothing of what was confirmed, however much was sent', () => {
    const ledger = new Ledger();
    for (let round = 0; round < 2_000; round++) {
      for (let n = 0; n < 5; n++) ledger.append(frame(round * 5 + n));
      ledger.confirm(ledger.nextSeq - 1);
    }
    expect(ledger.unackedCount).toBe(1);
    expect(unackedOf(ledger)).toEqual([9_999]);
    expect(ledger.unackedBytes).toBe(4);
  });
});
