import type { ChainWorkload } from './chainWorkload.ts';
import { cachingWorkload } from './workloads/caching/caching.ts';
import { callsWorkload } from './workloads/calls.ts';
import { collectingWorkload } from './workloads/collecting/collecting.ts';
import { consumingWorkload, mirroringWorkload } from './workloads/consuming/consuming.ts';
import { keyingWorkload } from './workloads/keying/keying.ts';
import { keysWorkload, watchingWorkload } from './workloads/watching/watching.ts';

/** The built-in programs for a chain. */
export const chainWorkloads: readonly ChainWorkload[] = [
  callsWorkload,
  watchingWorkload,
  keysWorkload,
  collectingWorkload,
  consumingWorkload,
  mirroringWorkload,
  cachingWorkload,
  keyingWorkload,
];
