import type { ChainWorkload } from './chainWorkload.ts';
import { cachingWorkload } from './workloads/caching/caching.ts';
import { callsWorkload } from './workloads/calls.ts';
import { consumingWorkload } from './workloads/consuming/consuming.ts';
import { watchingWorkload } from './workloads/watching/watching.ts';

/** The built-in programs for a chain. */
export const chainWorkloads: readonly ChainWorkload[] = [
  callsWorkload,
  watchingWorkload,
  consumingWorkload,
  cachingWorkload,
];
