/** Short enough that a run of seconds sees every state often. */
export const transportOptions = {
  heartbeatIntervalMs: 200,
  heartbeatsUntilDead: 2,
  sessionDisconnectGraceMs: 4_000,
  connectionTimeoutMs: 800,
  handshakeTimeoutMs: 800,
} as const;
