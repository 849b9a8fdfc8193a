import { randomId } from './id.ts';

/** Ends a timer; harmless when it already fired or was ended. */
export type CancelTimer = () => void;

/**
 * Everything that is not pure, in one place: time, timers, randomness and ids. Nothing else in the library asks the
 * platform for any of them, so a simulator that hands in another clock replays a run from its seed.
 */
export interface Clock {
  /** Monotonic milliseconds: durations and deadlines. */
  now(): number;
  /** Milliseconds since the epoch: expiry dates only. */
  wallNow(): number;
  /** Calls `fn` once, not before `ms` milliseconds from now. Any finite `ms` ≥ 0 works, months included. */
  after(ms: number, fn: () => void): CancelTimer;
  /** Calls `fn` every `ms` milliseconds. */
  every(ms: number, fn: () => void): CancelTimer;
  /** Uniform in [0, 1). */
  random(): number;
  /** A fresh random id of 12 characters. */
  id(): string;
  /** Calls `fn` once what has already arrived on the process's sockets was read. */
  afterIo(fn: () => void): CancelTimer;
}

/** The longest delay a platform timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function after(ms: number, fn: () => void): CancelTimer {
  if (ms <= MAX_TIMER_MS) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  }
  // A credential valid for months: wait in pieces.
  let cancel: CancelTimer = after(MAX_TIMER_MS, () => {
    cancel = after(ms - MAX_TIMER_MS, fn);
  });
  return () => cancel();
}

function every(ms: number, fn: () => void): CancelTimer {
  const timer = setInterval(fn, Math.min(ms, MAX_TIMER_MS));
  return () => clearInterval(timer);
}

/** Node's, Bun's and Deno's; browsers have neither. */
interface Immediates {
  setImmediate?: (fn: () => void) => unknown;
  clearImmediate?: (handle: unknown) => void;
}

const { setImmediate: defer, clearImmediate: forget }: Immediates = globalThis as Immediates; // absent, or of this shape

/**
 * Where there is no `setImmediate`: a message to oneself is a task of its own, which browsers do not throttle in a page
 * that nobody sees, as they do timers.
 */
class OwnTasks {
  readonly #channel = new MessageChannel();
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.();
  }

  defer(fn: () => void): CancelTimer {
    let isCancelled = false;
    this.#waiting.push(() => {
      if (!isCancelled) fn();
    });
    this.#channel.port2.postMessage(undefined);
    return () => {
      isCancelled = true;
    };
  }
}

let ownTasks: OwnTasks | undefined;

function afterIo(fn: () => void): CancelTimer {
  if (defer === undefined) {
    if (typeof MessageChannel === 'undefined') return after(0, fn);
    ownTasks ??= new OwnTasks();
    return ownTasks.defer(fn);
  }
  // One turn of the loop later the poll phase has run, so whatever the kernel held was handed over.
  let handle = defer(() => {
    handle = defer(fn);
  });
  return () => forget?.(handle);
}

/** The platform's own time, timers and randomness. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after,
  every,
  random: () => Math.random(),
  id: randomId,
  afterIo,
};
