import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Somebody in front of a folder, who writes files with an editor and sees what is in them. Knows nothing of any server. */
export class User {
  readonly name: string;
  readonly folder: string;
  readonly #drafts: string;
  readonly #watcher: FSWatcher;
  readonly #looks = new Set<() => void>();

  constructor(name: string, folder: string, drafts: string) {
    this.name = name;
    this.folder = folder;
    this.#drafts = drafts;
    this.#watcher = watch(folder, () => {
      for (const look of [...this.#looks]) look();
    });
  }

  /** As editors do it: written beside, and put in its place as a whole. Null takes it away. */
  async save(file: string, text: string | null): Promise<void> {
    if (text === null) return rm(join(this.folder, file));
    const draft = join(this.#drafts, `${this.name}-${file}`);
    await writeFile(draft, text);
    await rename(draft, join(this.folder, file));
  }

  sees(file: string): string | null {
    try {
      return readFileSync(join(this.folder, file), 'utf8');
    } catch {
      return null;
    }
  }

  /** Resolves when it is so, which is looked at whenever something in the folder has changed. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  close(): void {
    this.#watcher.close();
  }
}
