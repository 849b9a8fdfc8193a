import { JsonCodec } from '../../../codec/json.ts';
import type { Connection } from '../../../transport/connection.ts';
import { Phase } from '../engine/eventHeap.ts';
import { LIAR } from '../oracle/oracle.ts';
import type { Inflict } from './faults.ts';
import { SERVER_ID } from './stage.ts';

const ABSURD = [2 ** 53, -1, 0.5, 1e300, 7] as const;

function envelope(from: string, seq: unknown, ack: unknown, payload: unknown): Uint8Array {
  const header = { id: 'x', from, to: SERVER_ID, seq, ack, streamId: 'x', controlFlags: 0 };
  return JsonCodec.toBuffer({ ...header, payload });
}

function request(from: string, nextExpectedSeq: number, nextSentSeq: number): Uint8Array {
  return envelope(from, 0, 0, {
    type: 'HANDSHAKE_REQ',
    protocolVersion: 'v2.0',
    sessionId: `session-of-${from}`,
    expectedSessionState: { nextExpectedSeq, nextSentSeq },
  });
}

/** What a liar says first, and after it was answered. */
function lines(variant: number, victim: string, absurd: number): readonly [Uint8Array, Uint8Array] {
  const noise = Uint8Array.from([0x7b, 0xff, variant, 0x00]);
  switch (variant) {
    case 0:
      return [noise, noise];
    case 1:
      // Somebody else's client id, for a session that never was.
      return [request(victim, 3, 4), noise];
    case 2:
      return [request(`${LIAR}-2`, absurd, 0), noise];
    case 3:
      return [request(`${LIAR}-3`, 0, 0), envelope(`${LIAR}-3`, 0, absurd, { type: 'ACK' })];
    case 4:
      return [request(`${LIAR}-4`, 0, 0), envelope(victim, 0, 0, { type: 'CLOSE' })];
    default:
      return [request(`${LIAR}-5`, 0, 0), envelope(`${LIAR}-5`, absurd, 0, { type: 'ACK' })];
  }
}

/** Somebody dials and says what is not true. The server must not believe it, and nobody else may notice. */
export const lie: Inflict = (stage, { dice: [a, b] }, slot) => {
  const host = stage.newHost(LIAR);
  const absurd = ABSURD[Math.floor(b * ABSURD.length)] ?? 7;
  const [first, second] = lines(Math.floor(a * 6), slot.name, absurd);
  const speak = (connection: Connection): void => {
    connection.attach({ onData: () => connection.send(second), onClose: () => undefined });
    connection.send(first);
  };
  host.schedule(stage.world.now, Phase.Timer, (self) => {
    self.dial(SERVER_ID, { onOpen: speak, onError: () => undefined });
  });
  return true;
};
