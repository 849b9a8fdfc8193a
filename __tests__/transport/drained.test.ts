import { describe, expect, test } from 'vitest';
import { JsonCodec } from '../../codec/json.ts';
import { encodeCompact, encodeCompactFrame } from '../../transport/compact.ts';
import { FrameFlags } from '../../transport/compactLayout.ts';
import { CompactFrameReader } from '../../transport/compactReader.ts';
import { stateBehind } from '../../transport/session/revocable.ts';
import { StateBench } from '../support/states.ts';

function setup() {
  const bench = new StateBench();
  const session = bench.connected({ compact: {} });
  const { core } = session;
  core.openStream('1', { onMessage: () => undefined, onSessionEnd: () => undefined });
  const [connection] = bench.connections;
  if (connection === undefined) throw new Error('expected a connection');
  const state = stateBehind(session);
  const heldAfter = (send: () => void): number => {
    send();
    return state.bufferedBytes;
  };
  return { core, connection, state, heldAfter };
}

const message = { streamId: '1', controlFlags: 0, payload: 'some text' };

describe('what a connection holds', () => {
  test('counts as soon as it is given to it, and no longer than it holds it', () => {
    const { core, connection, state, heldAfter } = setup();
    const ways: [string, () => void][] = [
      [
        'a message',
        () => {
          core.send(message);
          state.flush();
        },
      ],
      [
        'an answer to a beat',
        () => state.receive(encodeCompactFrame(0, core.ledger.nextSeq, FrameFlags.WantReply, [])),
      ],
    ];
    for (const [name, send] of [...ways, ...ways]) {
      expect(state.bufferedBytes, name).toBe(0);
      connection.isStuck = true;
      expect(heldAfter(send), name).toBeGreaterThan(0);
      expect(state.bufferedBytes, name).toBe(connection.held);
      // It leaves by and by, and nobody says so.
      connection.held -= 1;
      expect(state.bufferedBytes, name).toBe(connection.held);
      connection.held = 0;
      connection.isStuck = false;
      expect(heldAfter(send), name).toBe(0);
    }
  });

  test('counts although somebody looked while it was being sent', () => {
    const { core, connection, state } = setup();
    expect(state.bufferedBytes).toBe(0);
    connection.isStuck = true;
    let seen: number | undefined;
    connection.onSend = () => {
      seen = state.bufferedBytes;
    };
    state.receive(encodeCompactFrame(0, core.ledger.nextSeq, FrameFlags.WantReply, []));
    expect([seen, state.bufferedBytes]).toEqual([0, connection.held]);
    expect(connection.held).toBeGreaterThan(0);
  });

  test('is not added to by acknowledgements while the peer does not read; the next beat says what they would have', () => {
    const { core, connection, state } = setup();
    connection.held = core.env.options.sessionHighWaterBytes + 1;
    const part = encodeCompact(JsonCodec, message, undefined, 10_000);
    for (let seq = 0; seq < 1_000; seq += 250)
      state.receive(encodeCompactFrame(seq, 0, 0, new Array<Uint8Array>(250).fill(part)));
    state.flush();
    expect(connection.sent).toEqual([]);
    state.receive(encodeCompactFrame(1_000, 0, FrameFlags.WantReply, []));
    expect(connection.sent.map((frame) => CompactFrameReader.open(JsonCodec, frame))).toMatchObject([{ ack: 1_000 }]);
  });

  test('is added to by few answers to beats while the peer does not read', () => {
    const { core, connection, state } = setup();
    const beat = () => state.receive(encodeCompactFrame(0, core.ledger.nextSeq, FrameFlags.WantReply, []));
    connection.isStuck = true;
    for (let n = 0; n < 1_000; n++) beat();
    expect(connection.sent).toHaveLength(16);
    connection.isStuck = false;
    connection.held = 0;
    beat();
    expect(connection.sent).toHaveLength(17);
  });
});
