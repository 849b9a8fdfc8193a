import { type FSWatcher, watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** So long a file has to be left alone: some programs write in pieces. */
const QUIET_MS = 5;
/** What the system forgot to tell, as it may when much happens at once, is found by looking. */
const LOOK_EVERY_MS = 1_000;

/** Sees which files of a folder may have changed. Names that begin with a dot are not its business. */
export class FolderEye {
  readonly #folder: string;
  readonly #onTouched: (path: string) => void;
  readonly #watcher: FSWatcher;
  readonly #rounds: NodeJS.Timeout;
  readonly #quiet = new Map<string, NodeJS.Timeout>();
  readonly #seen = new Map<string, string>();

  constructor(folder: string, onTouched: (path: string) => void) {
    this.#folder = folder;
    this.#onTouched = onTouched;
    this.#watcher = watch(folder, (_event, name) => this.#soon(name));
    this.#rounds = setInterval(() => void this.look(), LOOK_EVERY_MS);
  }

  close(): void {
    this.#watcher.close();
    clearInterval(this.#rounds);
    for (const timer of this.#quiet.values()) clearTimeout(timer);
  }

  /** Looks at every file whether it is as it was. */
  async look(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => !name.startsWith('.'));
    for (const name of new Set([...names, ...this.#seen.keys()])) {
      const file = await stat(join(this.#folder, name)).catch(() => undefined);
      const looks = file === undefined ? undefined : `${file.ino} ${file.mtimeMs} ${file.size}`;
      if (looks === this.#seen.get(name)) continue;
      if (looks === undefined) this.#seen.delete(name);
      else this.#seen.set(name, looks);
      this.#soon(name);
    }
  }

  #soon(name: string | null): void {
    if (name === null) return void this.look();
    if (name.startsWith('.')) return;
    clearTimeout(this.#quiet.get(name));
    const timer = setTimeout(() => {
      this.#quiet.delete(name);
      this.#onTouched(name);
    }, QUIET_MS);
    this.#quiet.set(name, timer);
  }
}
