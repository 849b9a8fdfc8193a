import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../bench/packages/', import.meta.url));

function modifiedAt(path: string): number {
  return statSync(`${folder}${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * Installs the other libraries, unless that was done since their lock file changed. No script of theirs is run.
 * @throws {Error} if it fails
 */
export function installRivals(): void {
  if (modifiedAt('node_modules/.package-lock.json') >= modifiedAt('package-lock.json')) return;
  const { status, error } = spawnSync('npm', ['ci', '--prefix', folder, '--ignore-scripts'], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm ci in ${folder} ended with ${status}`, { cause: error });
}

/** Of what is installed, by us or by {@link installRivals}. */
export function versionOf(name: string): string {
  const from = name === 'ws' ? import.meta.url : `${folder}package.json`;
  // Its entry point, from which its manifest is found: not every package lets its manifest be imported.
  for (let path = dirname(createRequire(from).resolve(name)); path !== dirname(path); path = dirname(path)) {
    const manifest = `${path}/package.json`;
    if (!existsSync(manifest)) continue;
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version?: string }; // npm checks that it is one
    if (version !== undefined) return version;
  }
  throw new Error(`${name} has no version`);
}
