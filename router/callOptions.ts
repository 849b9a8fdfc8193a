/** What a caller may say about one call. */
export interface CallOptions {
  /** Gives the call up. Already aborted: nothing is sent, the result is `CANCEL`. */
  signal?: AbortSignal | undefined;
  /** After so many milliseconds the result is `DEADLINE_EXCEEDED`; the handler's signal aborts then, too. */
  timeoutMs?: number | undefined;
  /** Without a connection: `wait` (the default) for one, or `fail` at once with `UNEXPECTED_DISCONNECT`. */
  offline?: 'wait' | 'fail' | undefined;
}
