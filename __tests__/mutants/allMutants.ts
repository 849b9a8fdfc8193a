import { chainMutants } from './chainMutants.ts';
import { mutants } from './mutants.ts';

/** Every bug that must be found: those of sessions, then those of what is above them. */
export const allMutants = [...mutants, ...chainMutants];
