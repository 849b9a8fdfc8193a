/** How many faults of each class a run has at most, where it has the class at all. */
export const rates = {
  /** A connection breaks; of what is under way each side gets some prefix. */
  cut: 5,
  /** A connection breaks, and one side or both are told late. */
  lateClose: 4,
  /** A connection breaks and nobody is told. */
  silent: 3,
  /** One direction lets nothing through for a while; the other works. */
  halfOpen: 4,
  /** The same for so long that the connection is given up; then what was held up arrives at a closed one. */
  lateFrames: 3,
  /** Everything takes longer for a while. */
  slow: 4,
  /** A process does nothing for a moment; then timers that are due run before input that waits, or after it. */
  stall: 5,
  /** A process does nothing for long: a closed laptop, a debugger. */
  sleep: 2,
  refused: 4,
  hanging: 3,
  lateDial: 3,
  /** A dial opens but its request comes only after the client has dialled again. */
  overlap: 3,
  /** A connection takes no more frames before anybody says that it is broken. */
  sendFails: 3,
  /** Validators of handshakes take their time, some for ever. */
  slowValidation: 1,
  /** A client's process dies and is started again. */
  crash: 2,
  /** A client closes, and may come back. */
  departure: 2,
  /** A second process uses the same client id for a while. */
  twin: 2,
  /** A client goes on from a state it had some time ago. */
  clientRollback: 6,
  serverCrash: 2,
  serverRollback: 6,
  /** The application ends its session at once. */
  hardDisconnect: 2,
  /** Somebody who is no honest peer. */
  liar: 3,
} as const;

/** A class of faults. */
export type FaultClass = keyof typeof rates;

/** All of them. Their order is part of what a seed means. */
export const faultClasses: readonly FaultClass[] = Object.keys(rates) as FaultClass[]; // keys of the literal above
