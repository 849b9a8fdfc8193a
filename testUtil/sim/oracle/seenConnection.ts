import type { Standing } from './compactWire.ts';

/** What the oracle knows of one end of a connection. */
export interface SeenConnection {
  sessionId: string | undefined;
  /** Frames after the handshake are those of the `compact` extension. */
  isCompact: boolean;
  /** Where the compact frames of either direction stand. */
  readonly said: Standing;
  readonly heard: Standing;
  /** What the client expects next, from its request. */
  nextExpected: number;
  hasEnded: boolean;
  /** A frame came after it had ended. */
  heardLate: boolean;
}

/** One that was just opened. */
export function newConnection(): SeenConnection {
  return {
    sessionId: undefined,
    isCompact: false,
    said: { nextSeq: 0, ack: 0 },
    heard: { nextSeq: 0, ack: 0 },
    nextExpected: 0,
    hasEnded: false,
    heardLate: false,
  };
}
