/** What the oracle knows of one end of a connection. */
export interface SeenConnection {
  sessionId: string | undefined;
  /** Frames after the handshake are those of the `compact` extension. */
  isCompact: boolean;
  /** What the client expects next, from its request. */
  nextExpected: number;
  hasEnded: boolean;
  /** A frame came after it had ended. */
  heardLate: boolean;
}

/** One that was just opened. */
export function newConnection(): SeenConnection {
  return { sessionId: undefined, isCompact: false, nextExpected: 0, hasEnded: false, heardLate: false };
}
