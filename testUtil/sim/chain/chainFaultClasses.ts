import type { LinkFaultClass } from '../run/linkFaults.ts';

/** How many faults of each class a run has at most, where it has the class at all. */
export const chainRates = {
  // Of the links, as in `run/faultClasses.ts`.
  cut: 8,
  lateClose: 6,
  silent: 4,
  halfOpen: 5,
  lateFrames: 4,
  slow: 5,
  refused: 5,
  hanging: 4,
  lateDial: 4,
  overlap: 4,
  sendFails: 4,
  /** Validators of handshakes take their time, some for ever. */
  slowValidation: 1,
  /** A process does nothing for a moment. */
  stall: 5,
  /** A process does nothing for long. */
  sleep: 3,
  leafCrash: 3,
  serviceCrash: 3,
  providerCrash: 3,
  /** A process dies just after something was committed on its disk, before anybody hears of it. */
  crashAtCommit: 4,
  /** A process is started again on a disk that was restored from a backup. */
  leafRollback: 2,
  serviceRollback: 2,
  providerRollback: 2,
  /** A leaf closes in good order, and comes back. */
  leafDeparture: 3,
  /** So does the service. */
  serviceDeparture: 2,
  /** An application ends its sessions at once. */
  hardDisconnect: 5,
} as const satisfies Record<LinkFaultClass, number> & Record<string, number>;

/** A class of faults of a chain. */
export type ChainFaultClass = keyof typeof chainRates;

/** All of them. Their order is part of what a seed means. */
export const chainFaultClasses: readonly ChainFaultClass[] = Object.keys(chainRates) as ChainFaultClass[]; // keys of the literal above
