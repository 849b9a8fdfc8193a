import { HEARTBEAT_STREAM_ID, REHANDSHAKE_STREAM_ID } from '../../transport/message.ts';
import { isRecord } from './recording.ts';

/** A leaf of a recorded line, by its path, that need not be equal word for word. */
export interface Exemption {
  readonly path: string;
  /**
   * `id`: any other id will do, but the same one wherever the recording has the same one. So an id that a recording has
   * more than once is not exempt from being changed in one place.
   * `prose`: any text will do.
   */
  readonly kind: 'id' | 'prose';
  readonly why: string;
  /** Absent: everywhere. */
  readonly when?: (message: Record<string, unknown>) => boolean;
}

/** Stream ids that are not random. */
export const constantStreamIds: readonly string[] = [HEARTBEAT_STREAM_ID, REHANDSHAKE_STREAM_ID];

function isInvalidRequest({ payload: result }: Record<string, unknown>): boolean {
  return isRecord(result) && isRecord(result['payload']) && result['payload']['code'] === 'INVALID_REQUEST';
}

/** Everything in which a replay may differ from its recording. */
export const exemptions: readonly Exemption[] = [
  { path: 'message.id', kind: 'id', why: 'random for every message' },
  {
    path: 'message.streamId',
    kind: 'id',
    why: 'random for every call and handshake; two names are constants',
    when: ({ streamId }) => !constantStreamIds.some((constant) => constant === streamId),
  },
  { path: 'message.payload.sessionId', kind: 'id', why: 'random for every session: here the client makes it' },
  { path: 'message.payload.status.sessionId', kind: 'id', why: 'random for every session: here the server echoes it' },
  { path: 'message.payload.status.reason', kind: 'prose', why: 'why a handshake is refused: the code says it' },
  {
    path: 'message.payload.payload.message',
    kind: 'prose',
    why: 'what is wrong with a request, in the server’s words: the text of every other error is the application’s',
    when: isInvalidRequest,
  },
  { path: 'raised.message', kind: 'prose', why: 'what went wrong, for people: type and code say it' },
];

const byPath = new Map(exemptions.map((exemption) => [exemption.path, exemption]));

/**
 * Whether a leaf is one of them.
 * @param message of the line that the leaf is in, if it has one
 */
export function exemptionOf(message: unknown, path: string, leaf: unknown): Exemption | undefined {
  const exemption = byPath.get(path);
  if (exemption === undefined || typeof leaf !== 'string') return undefined;
  return isRecord(message) && exemption.when?.(message) === false ? undefined : exemption;
}
