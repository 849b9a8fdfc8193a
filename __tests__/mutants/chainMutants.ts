import { cacheMutants } from './cacheMutants.ts';
import { consumeMutants } from './consumeMutants.ts';
import { keyedMutants } from './keyedMutants.ts';
import type { Mutant } from './mutants.ts';
import { topicMutants } from './topicMutants.ts';
import { watchMutants } from './watchMutants.ts';

/** Bugs of the layers above sessions, which a chain of provider, service and leaves must find. */
export const chainMutants: readonly Mutant[] = [
  ...watchMutants,
  ...topicMutants,
  ...consumeMutants,
  ...cacheMutants,
  ...keyedMutants,
];
