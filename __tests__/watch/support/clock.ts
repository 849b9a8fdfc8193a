import { VirtualClock } from '../../../testUtil/virtualClock.ts';

/** A virtual clock for what has no network: between two timers promises come to rest. */
export function quietClock(): VirtualClock {
  return new VirtualClock(async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  });
}
