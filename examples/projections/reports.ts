export type ShopReport =
  | { type: 'open' }
  /** The log has grown. */
  | { type: 'appended'; offset: number }
  /** A projection has failed, for the so manieth time in this process. */
  | { type: 'failed'; projection: string; times: number };
