export type HopReport = { type: 'open' };

/** What the client is told to do. */
export type ClientOrder =
  /** The puppet has been given this pose: see to it that nobody sees an older one. */
  | { type: 'invalidate'; pose: number; timeoutMs: number } /** Look so often, then tell. */
  | { type: 'look'; times: number };

export interface Figures {
  /** What its cache has answered, and how often that was older than what had been confirmed before it was asked. */
  reads: number;
  older: number;
  /** Of the reads: answered by its own cache, without asking anybody. */
  hits: number;
  /** How often its cache had to drop everything, since something may have been missed. */
  clears: number;
}

export type ClientReport =
  /** The invalidation is on its way. */
  | { type: 'asked' }
  | { type: 'read'; pose: number }
  | { type: 'confirmed'; pose: number }
  | { type: 'unconfirmed'; pose: number; why: string }
  | ({ type: 'figures' } & Figures);
