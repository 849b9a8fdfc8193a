import { createRequire } from 'node:module';

/** Of what `npm run bench` installs, as seen from where this file runs: .bench/bench/rivals. */
const require = createRequire(new URL('../../../bench/packages/package.json', import.meta.url));

/** A package that the library does not have, and only `npm run bench` needs. */
export function rival<T>(name: string): T {
  return require(name) as T; // of the type that declarations.d.ts has
}
