/** Shorter than the defaults, so that a demo of seconds shows what takes minutes in life. */
export const transportOptions = {
  heartbeatIntervalMs: 250,
  heartbeatsUntilDead: 2,
  sessionDisconnectGraceMs: 15_000,
  connectionTimeoutMs: 1_000,
  handshakeTimeoutMs: 1_000,
} as const;
