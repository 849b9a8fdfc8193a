import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/index.ts';
import { encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import { stateBehind } from '../../transport/session/revocable.ts';
import { StateBench } from '../support/states.ts';

/** A session that speaks compact, and what its streams are given. */
function setup() {
  const bench = new StateBench();
  const session = bench.connected({ compact: {} });
  bench.reported.length = 0;
  const given: unknown[] = [];
  session.core.openStream('1', {
    onMessage: ({ payload }) => void given.push(payload),
    onSessionEnd: () => undefined,
  });
  let seq = 0;
  return {
    bench,
    state: stateBehind(session),
    given,
    frame(...payloads: string[]): Uint8Array {
      const messages = payloads.map((payload) =>
        encodeCompact(JsonCodec, { streamId: '1', controlFlags: 0, payload }, undefined, 1_000),
      );
      const frame = encodeCompactFrame(seq, 0, 0, messages);
      seq += payloads.length;
      return frame;
    },
    interruptions: () => bench.reported.filter(([event]) => event === 'onFrameInterrupted').length,
  };
}

describe('a frame of several messages', () => {
  test('is read at once where its messages cause nothing', () => {
    const { state, given, frame, interruptions } = setup();
    state.receive(frame('a', 'b', 'c'));
    expect(given).toEqual(['a', 'b', 'c']);
    expect(interruptions()).toBe(0);
  });

  test('waits for what a message caused, and frames that come meanwhile wait for it', () => {
    const { bench, state, given, frame, interruptions } = setup();
    bench.queue.hasWaiting = true;
    state.receive(frame('a', 'b', 'c'));
    state.receive(frame('d', 'e'));
    state.receive(frame('f'));
    expect(given).toEqual(['a']);
    expect(interruptions()).toBe(1);
    // One at a time for as long as something waits; each is asked for again.
    for (const [n, ...all] of [
      ['a', 'b'],
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'd'],
    ].entries()) {
      state.readOn();
      expect(given).toEqual(all.flat());
      expect(interruptions()).toBe(n + 2);
    }
    bench.queue.hasWaiting = false;
    state.readOn();
    state.readOn();
    expect(given).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(interruptions()).toBe(5);
    state.receive(frame('g'));
    expect(given.at(-1)).toBe('g');
  });

  test('that turns out to be malformed is reported, and nothing after it is read before that was dealt with', () => {
    const { bench, state, given, frame } = setup();
    const malformed = frame('a', 'b').slice(0, -1);
    bench.queue.hasWaiting = true;
    state.receive(malformed);
    state.receive(frame('c'));
    state.readOn();
    expect(given).toEqual(['a']);
    expect(bench.reported.map(([event]) => event)).toEqual(['onFrameInterrupted', 'onViolation', 'onFrameInterrupted']);
  });
});
