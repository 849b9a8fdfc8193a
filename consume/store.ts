import type { ConsumerRecord } from './record.ts';

/** Who may run an engine's consumers at the moment. */
export interface Lease {
  /** Empty: nobody. */
  readonly owner: string;
  /** Rises with every change of hands; who holds a lower one has lost it. */
  readonly fence: number;
  /** Milliseconds since the epoch. */
  readonly renewedAt: number;
  readonly ttlMs: number;
}

/** What the ledger knows of one id. */
export interface Claim {
  /** `started`: somebody began and has not said how it ended. */
  readonly state: 'started' | 'done';
  /** JSON; undefined for an effect that returned nothing. */
  readonly result: string | undefined;
  /** Of the call that made the claim. */
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** After this somebody else may begin anew; undefined: nobody may. */
  readonly expiresAt: number | undefined;
}

/**
 * Where records, leases and the ledger are kept. Synchronous throughout, so that a transaction on a handle that is shared
 * with the application cannot take in statements of others. Every method throws {@link StoreError} when the store fails.
 */
export interface CheckpointStore<Tx> {
  /**
   * Runs `fn` in one transaction: all of it, the methods below included, is committed, or, if it throws or returns a
   * promise, none. Inside another call of this it is a part of that one, undone by itself if it throws.
   * @param durability `own` refuses to become a part of a transaction that the application has open, since it would be
   *   undone with it after its success was reported; `shared` (the default) does so
   */
  transaction<T>(fn: (tx: Tx) => T, durability?: 'shared' | 'own'): T;

  /** Every record of an engine, in the order of their ids. */
  list(engine: string): ConsumerRecord[];
  load(engine: string, id: string): ConsumerRecord | undefined;
  /**
   * Saves if the revision in the store is still that of `record` (0: there is none), and raises it.
   * @returns false if it is another one; nothing was saved
   */
  save(engine: string, record: ConsumerRecord): boolean;
  remove(engine: string, id: string): void;

  lease(engine: string): Lease | undefined;
  saveLease(engine: string, lease: Lease): void;

  claim(scope: string, id: string): Claim | undefined;
  saveClaim(scope: string, id: string, claim: Claim): void;
  removeClaim(scope: string, id: string): void;
  /** Removes claims made before `at`, of one scope or of all. @returns how many */
  pruneClaims(at: number, scope: string | undefined): number;
}
