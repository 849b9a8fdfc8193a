import { customAlphabet } from 'nanoid';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Twelve random characters of [0-9A-Za-z]: 71 bits from the platform's cryptographic source. */
export const randomId: () => string = customAlphabet(alphabet, 12);

/** Two random numbers of 32 bits, of this process: what places in a table depend on. */
export const hashSeeds: Uint32Array = crypto.getRandomValues(new Uint32Array(2));
