/** What a case of the bench of layers found. */
export interface Measured {
  /** Events, deliveries, reads or invalidations. */
  readonly perSecond: number;
  /** The most that lived on the heap besides what had lived before. */
  readonly heldBytes?: number;
}
