import { isDeepStrictEqual } from 'node:util';
import { Deviation } from './deviation.ts';
import { type FrameLine, isRecord, type Line } from './recording.ts';

interface Numbers {
  readonly seq: number;
  readonly ack: number;
}

function numbersOf({ message }: FrameLine): Numbers {
  if (!isRecord(message) || typeof message['seq'] !== 'number' || typeof message['ack'] !== 'number')
    return { seq: -1, ack: 0 };
  return { seq: message['seq'], ack: message['ack'] };
}

function payloadOf({ message }: FrameLine): Record<string, unknown> {
  return isRecord(message) && isRecord(message['payload']) ? message['payload'] : {};
}

/** The number of the client's handshake that says what it has already, or 0 if it says nothing of the kind. */
function nextExpectedOf(frame: FrameLine): number {
  const { expectedSessionState: state } = payloadOf(frame);
  return isRecord(state) && typeof state['nextExpectedSeq'] === 'number' ? state['nextExpectedSeq'] : 0;
}

function isAccepted(frame: FrameLine): boolean {
  const { status } = payloadOf(frame);
  return isRecord(status) && status['ok'] === true;
}

/**
 * The frames of a recorded server that ours does not send, by their index. River's server answers a reconnect with everything that was
 * not acknowledged to it, although the handshake says which of it the client has; ours sends what the client lacks.
 * They are exempt only as exactly that: the whole run of what the client has and has not acknowledged, in order, right
 * behind the answer, and each as it was sent at first.
 * @throws {Deviation} if they are anything else
 */
export function exemptResends(lines: readonly Line[]): ReadonlySet<number> {
  const exempt = new Set<number>();
  const sent = new Map<number, FrameLine>();
  let acknowledged = 0;
  let due: number[] = [];
  let nextExpected = 0;
  for (const [index, line] of lines.entries()) {
    if (line.kind !== 'frame') continue;
    const { type } = payloadOf(line);
    const { seq, ack } = numbersOf(line);
    if (type === 'HANDSHAKE_REQ') nextExpected = nextExpectedOf(line);
    else if (type === 'HANDSHAKE_RESP') {
      if (isAccepted(line)) due = [...sent.keys()].filter((old) => old >= acknowledged && old < nextExpected);
    } else if (line.from === 'client') acknowledged = Math.max(acknowledged, ack);
    else if (due.length === 0) sent.set(seq, line);
    else {
      const original = sent.get(due.shift() ?? -1);
      if (!isDeepStrictEqual(original?.message, line.message))
        throw new Deviation('the recorded server sends again what it had not sent like that before');
      exempt.add(index);
    }
  }
  if (due.length > 0)
    throw new Deviation('the recorded server does not send everything again that was not acknowledged');
  return exempt;
}
