import { InvalidArgumentError } from './errors.ts';

/**
 * @param methods what is called of it; with a dot, of a part of it
 * @returns what is wrong with it, such as `undefined`, or `one without read()`; undefined if nothing is
 */
export function misshapen(value: unknown, methods: readonly string[]): string | undefined {
  for (const path of methods) {
    let part: unknown = value;
    // The cast: whatever has no properties has none of these names.
    for (const name of path.split('.')) part = (part as Record<string, unknown> | null | undefined)?.[name];
    if (typeof part === 'function') continue;
    const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
    return isObject ? `one without ${path}()` : String(value);
  }
  return undefined;
}

/**
 * Finds out at once what types would not let pass: a database where a store of it is expected, say.
 * @throws {InvalidArgumentError}
 */
export function checkShape(what: string, value: unknown, methods: readonly string[]): void {
  const got = misshapen(value, methods);
  if (got !== undefined) throw new InvalidArgumentError(`expected ${what}, got ${got}`);
}

/** @throws {InvalidArgumentError} */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new InvalidArgumentError(`expected ${name} to be a function, got ${typeof value}`);
}
