/** A call with a key that is about to be executed, or was. */
export interface IdempotencyClaim {
  /** Names the call: its principal, service, procedure and key in one text. */
  readonly id: string;
  /** Whose share of the store it takes: at most what the store says, whoever it is. */
  readonly principal: string;
  /** Tells its request from another one under the same key. */
  readonly requestHash: string;
  /**
   * When the store may forget it. Where the store is durable in milliseconds since the epoch, otherwise of the server's
   * `Clock.now()`.
   */
  readonly expiresAt: number;
}

/** What a store knows of a call that is to be executed. */
export type ClaimAnswer =
  /** It was unknown, and from now on is not: whoever hears this executes it. */
  | { readonly kind: 'claimed' }
  /** It was claimed before; `outcome` is undefined as long as nothing came of it. */
  | { readonly kind: 'known'; readonly requestHash: string; readonly outcome: Uint8Array | undefined }
  /** There is no room; `message` says which limit is reached. */
  | { readonly kind: 'full'; readonly message: string };

/**
 * Where a server keeps the outcomes of calls with an idempotency key. Everything may be asynchronous. What has not
 * expired is never forgotten: a store that is full refuses new calls.
 */
export interface IdempotencyStore {
  /**
   * Names this memory, 1 to 64 characters: another one knows nothing of what is in it. Stores that share one memory have
   * the same; one that began anew has a new one.
   */
  readonly instance: string;
  /** What it was told outlives the process. */
  readonly isDurable: boolean;
  /**
   * Notes a call down, if it is unknown or expired, before it is executed. Of two that ask at once one is told `claimed`.
   * @param now by which `expiresAt` is judged
   */
  claim(claim: IdempotencyClaim, now: number): ClaimAnswer | Promise<ClaimAnswer>;
  /**
   * Notes down what came of a call, expired or not; nothing where another request was claimed under its name since it
   * expired. May throw where there is no room: the claim then stays without outcome.
   * @param outcome opaque; the store's from now on
   */
  settle(claim: IdempotencyClaim, outcome: Uint8Array): void | Promise<void>;
  /**
   * Forgets what has expired, or a part of it.
   * @returns how many calls remain, at least roughly: at 0 the server stops asking until there is another one
   */
  prune(now: number): number | Promise<number>;
}
