import { InvalidArgumentError } from './errors.ts';

// Apart from the schemas, which a browser's watch does not load.

/** How many keys one subscription may name. */
export const MAX_KEYS = 1_000;
/** How long each may be. */
export const MAX_KEY_LENGTH = 256;

/** @throws {InvalidArgumentError} for keys that every server would refuse, whenever it is asked */
export function checkKeys(keys: readonly string[]): void {
  if (keys.length > MAX_KEYS) throw new InvalidArgumentError(`expected at most ${MAX_KEYS} keys, got ${keys.length}`);
  for (const key of keys) {
    if (typeof key !== 'string' || key.length > MAX_KEY_LENGTH)
      throw new InvalidArgumentError(
        `expected a key of at most ${MAX_KEY_LENGTH} characters, got ${typeof key === 'string' ? key.length : typeof key}`,
      );
  }
}
