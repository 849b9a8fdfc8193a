import { type Clock, systemClock } from 'holdfast/transport';

/** The platform's clock, and how many timers were started on it. */
export const timers = { started: 0 };

const counted = <A extends unknown[], R>(start: (...args: A) => R) => {
  return (...args: A): R => {
    timers.started += 1;
    return start(...args);
  };
};

/** Counts in {@link timers}. */
export const countingClock: Clock = {
  ...systemClock,
  after: counted(systemClock.after),
  every: counted(systemClock.every),
  afterIo: counted(systemClock.afterIo),
};
