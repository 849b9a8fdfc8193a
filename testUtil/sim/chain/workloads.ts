import type { ChainWorkload } from './chainWorkload.ts';
import { callsWorkload } from './workloads/calls.ts';

/** The built-in programs for a chain. */
export const chainWorkloads: readonly ChainWorkload[] = [callsWorkload];
