export type ShopReport =
  | { type: 'open' }
  /** A projection has failed, for the so manieth time in this process. */
  | { type: 'failed'; projection: string; times: number };
