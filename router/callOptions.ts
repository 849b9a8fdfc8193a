/** What a caller may say about one call. */
export interface CallOptions {
  /** Gives the call up. Already aborted: nothing is sent, the result is `CANCEL`. */
  signal?: AbortSignal | undefined;
  /** After so many milliseconds the result is `DEADLINE_EXCEEDED`; the handler's signal aborts then, too. */
  timeoutMs?: number | undefined;
  /** Without a connection: `wait` (the default) for one, or `fail` at once with `UNEXPECTED_DISCONNECT`. */
  offline?: 'wait' | 'fail' | undefined;
  /**
   * For an rpc: names this call among all that the caller ever makes to the procedure, so that it has its effect once. It
   * is then repeated by itself when its session dies, on the next one, until `signal` or `timeoutMs` ends it. Needs a
   * server with an idempotency store: with any other the result is `IDEMPOTENCY_UNSUPPORTED`, and nothing is sent.
   */
  idempotencyKey?: string | undefined;
}

/** What a caller may say about a call that cannot be repeated. */
export interface UnkeyedCallOptions extends CallOptions {
  idempotencyKey?: undefined;
}
