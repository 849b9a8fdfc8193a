import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Watches what lives on the heap beyond what lived when this was called. */
export function watchHeap(): { look: () => void; mostBytes: () => number } {
  collect();
  const before = process.memoryUsage().heapUsed;
  let most = 0;
  return {
    look() {
      collect();
      most = Math.max(most, process.memoryUsage().heapUsed - before);
    },
    mostBytes: () => most,
  };
}
